// Package scope decides what the scope claim of an access token allows.
package scope

import (
	"regexp"
	"strings"
)

// Printable ASCII without " # % * / and \. Nothing is decoded or normalized.
var segment = regexp.MustCompile(`^[!$&-)+-.0-\[\]-~]+$`)

// Allows reports whether the scope claim of a token allows an action on a resource.
func Allows(scope, action, resource string) bool {
	segments := strings.Split(resource, "/")
	for _, text := range segments {
		if text == "." || text == ".." || !segment.MatchString(text) {
			return false
		}
	}
	for _, granted := range strings.Split(scope, " ") {
		if covers(granted, action, segments) {
			return true
		}
	}
	return false
}

func covers(granted, action string, segments []string) bool {
	grantedAction, filter, found := strings.Cut(granted, ":")
	if !found {
		filter = "*" // an action alone means every resource
	}
	if grantedAction != "*" && grantedAction != action {
		return false
	}
	patterns := strings.Split(filter, "/")
	// No wildcard reaches Keyturn's own management API.
	if segments[0] == "keyturn" && patterns[0] != "keyturn" {
		return false
	}
	for place, pattern := range patterns {
		if pattern == "*" {
			return len(segments) > place
		}
		if place >= len(segments) || (pattern != "#" && pattern != segments[place]) {
			return false
		}
	}
	return len(segments) == len(patterns)
}
