// An API with net/http that checks Keyturn's access tokens with golang-jwt and keyfunc.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"log"
	"net/http"
	"os"
	"strings"

	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"

	"keyturn.example/orders/scope"
)

type claims struct {
	Scope string   `json:"scope"`
	CIDRs []string `json:"cidrs"`
	jwt.RegisteredClaims
}

func main() {
	issuer, audience := os.Getenv("ISSUER"), os.Getenv("AUDIENCE")
	// Fetches the keys now and every hour, and again when it meets an unknown key ID.
	keys, err := keyfunc.NewDefaultCtx(context.Background(), []string{issuer + "/.well-known/jwks.json"})
	if err != nil {
		log.Fatal(err)
	}
	parser := jwt.NewParser(
		jwt.WithIssuer(issuer),
		jwt.WithAudience(audience),
		jwt.WithValidMethods([]string{"ES256"}), // the organization's algorithm, and no other
		jwt.WithExpirationRequired(),
	)

	check := func(request *http.Request) (*claims, error) {
		text, found := strings.CutPrefix(request.Header.Get("Authorization"), "Bearer ")
		if !found {
			return nil, errors.New("no token")
		}
		var read claims
		token, err := parser.ParseWithClaims(text, &read, keys.Keyfunc)
		if err != nil {
			return nil, err
		}
		// A key that is restricted to networks: compare the client's address with the list, or deny.
		if token.Header["typ"] != "at+jwt" || read.CIDRs != nil {
			return nil, errors.New("not an access token for everywhere")
		}
		return &read, nil
	}

	http.HandleFunc("GET /orders/{order}", func(response http.ResponseWriter, request *http.Request) {
		token, err := check(request)
		if err != nil {
			response.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
			http.Error(response, "invalid token", http.StatusUnauthorized)
			return
		}
		order := request.PathValue("order")
		if !scope.Allows(token.Scope, "read", "orders/"+order) {
			response.Header().Set("WWW-Authenticate", `Bearer error="insufficient_scope"`)
			http.Error(response, "insufficient scope", http.StatusForbidden)
			return
		}
		response.Header().Set("Content-Type", "application/json")
		json.NewEncoder(response).Encode(map[string]string{"order": order, "client": token.Subject})
	})
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), nil))
}
