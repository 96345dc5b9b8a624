// Printable ASCII without " # % * / and \. Nothing is decoded or normalized.
const segment = /^[!$&-)+-.0-[\]-~]+$/;

const isResource = (text) => text.split('/').every((part) => part !== '.' && part !== '..' && segment.test(part));

// Whether the `scope` claim of a token allows an action on a resource.
export function allows(scope, action, resource) {
  return isResource(resource) && scope.split(' ').some((granted) => covers(granted, action, resource));
}

function covers(granted, action, resource) {
  const colon = granted.indexOf(':');
  const [grantedAction, filter] = colon < 0 ? [granted, '*'] : [granted.slice(0, colon), granted.slice(colon + 1)];
  if (grantedAction !== '*' && grantedAction !== action) return false;
  const patterns = filter.split('/');
  const segments = resource.split('/');
  // No wildcard reaches Keyturn's own management API.
  if (segments[0] === 'keyturn' && patterns[0] !== 'keyturn') return false;
  for (const [place, pattern] of patterns.entries()) {
    if (pattern === '*') return segments.length > place;
    if (place >= segments.length || (pattern !== '#' && pattern !== segments[place])) return false;
  }
  return segments.length === patterns.length;
}
