// An API that checks tokens with go-oidc: on each port, for one audience and one scope.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"os"
	"slices"
	"strings"

	"github.com/coreos/go-oidc/v3/oidc"
)

type config struct {
	Port                    int
	Issuer, Audience, Scope string
}

func (c config) handler() (http.HandlerFunc, error) {
	ctx := context.Background()
	provider, err := oidc.NewProvider(ctx, c.Issuer)
	if err != nil {
		return nil, err
	}
	verifier := provider.VerifierContext(ctx, &oidc.Config{ClientID: c.Audience})
	return func(w http.ResponseWriter, r *http.Request) {
		text := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		token, err := verifier.Verify(r.Context(), text)
		if err != nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		var claims struct{ Scope string }
		if err := token.Claims(&claims); err != nil || !slices.Contains(strings.Fields(claims.Scope), c.Scope) {
			w.WriteHeader(http.StatusForbidden)
		}
	}, nil
}

func main() {
	text, err := os.ReadFile(os.Args[1])
	var configs []config
	if err == nil {
		err = json.Unmarshal(text, &configs)
	}
	if err != nil {
		log.Fatal(err)
	}
	failed := make(chan error)
	for _, c := range configs {
		handler, err := c.handler()
		if err != nil {
			log.Fatal(err)
		}
		go func() { failed <- http.ListenAndServe(fmt.Sprintf("127.0.0.1:%d", c.Port), handler) }()
	}
	log.Fatal(<-failed)
}
