package orders;

import java.util.regex.Pattern;

/** What the {@code scope} claim of an access token allows. */
public final class Scope {
    // Printable ASCII without " # % * / and \. Nothing is decoded or normalized.
    private static final Pattern SEGMENT = Pattern.compile("[!$&-)+-.0-\\[\\]-~]+");

    private Scope() {}

    /** Whether the {@code scope} claim of a token allows an action on a resource. */
    public static boolean allows(String scope, String action, String resource) {
        String[] segments = resource.split("/", -1);
        for (String segment : segments) {
            if (segment.equals(".") || segment.equals("..") || !SEGMENT.matcher(segment).matches()) {
                return false;
            }
        }
        for (String granted : scope.split(" ")) {
            if (covers(granted, action, segments)) {
                return true;
            }
        }
        return false;
    }

    private static boolean covers(String granted, String action, String[] segments) {
        int colon = granted.indexOf(':');
        String grantedAction = colon < 0 ? granted : granted.substring(0, colon);
        // An action alone means every resource.
        String[] patterns = (colon < 0 ? "*" : granted.substring(colon + 1)).split("/", -1);
        if (!grantedAction.equals("*") && !grantedAction.equals(action)) {
            return false;
        }
        // No wildcard reaches Keyturn's own management API.
        if (segments[0].equals("keyturn") && !patterns[0].equals("keyturn")) {
            return false;
        }
        for (int place = 0; place < patterns.length; place++) {
            if (patterns[place].equals("*")) {
                return segments.length > place;
            }
            if (place >= segments.length || !(patterns[place].equals("#") || patterns[place].equals(segments[place]))) {
                return false;
            }
        }
        return segments.length == patterns.length;
    }
}
