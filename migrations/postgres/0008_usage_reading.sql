-- All that reading the use of an organization looks at, side by side.
CREATE INDEX usage_of_organization_hours_read ON usage_of_organization_hours (organization, hour, outcome, count);
CREATE INDEX usage_of_organization_days_read ON usage_of_organization_days (organization, day, outcome, count);
