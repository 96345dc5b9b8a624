package orders;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.File;

/** Runs the test vectors: {@code java orders.ScopeVectors scope-vectors.json}. */
public final class ScopeVectors {
    public static void main(String[] arguments) throws Exception {
        JsonNode vectors = new ObjectMapper().readTree(new File(arguments[0]));
        for (JsonNode vector : vectors) {
            boolean found = Scope.allows(
                    vector.get("scope").asText(), vector.get("action").asText(), vector.get("resource").asText());
            if (found != vector.get("allowed").asBoolean()) {
                throw new AssertionError(vector);
            }
        }
        System.out.println(vectors.size() + " vectors hold");
    }
}
