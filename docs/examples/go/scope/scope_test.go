package scope

import (
	"encoding/json"
	"os"
	"testing"
)

// Runs the test vectors: SCOPE_VECTORS=scope-vectors.json go test ./scope
func TestVectors(t *testing.T) {
	text, err := os.ReadFile(os.Getenv("SCOPE_VECTORS"))
	if err != nil {
		t.Fatal(err)
	}
	var vectors []struct {
		Scope, Action, Resource string
		Allowed                 bool
	}
	if err := json.Unmarshal(text, &vectors); err != nil || len(vectors) == 0 {
		t.Fatal(len(vectors), err)
	}
	for _, vector := range vectors {
		if Allows(vector.Scope, vector.Action, vector.Resource) != vector.Allowed {
			t.Errorf("%+v", vector)
		}
	}
}
