package api

import (
	"context"
	"errors"

	"github.com/coreos/go-oidc/v3/oidc"
)

// The keys are fetched when the first token comes, and again when one names a key that is not known yet.
var keys = oidc.NewRemoteKeySet(context.Background(), "https://keys.example.com/.well-known/jwks.json")

var verifier = oidc.NewVerifier("https://keys.example.com", keys, &oidc.Config{
	ClientID:             "https://api.example.com", // the audience
	SupportedSigningAlgs: []string{"ES256"},
})

type Caller struct {
	ClientID     string   `json:"client_id"`
	Organization string   `json:"org"`
	Scope        string   `json:"scope"`
	Networks     []string `json:"cidrs"`
}

// CallerOf verifies the token and returns the caller.
func CallerOf(ctx context.Context, token string) (*Caller, error) {
	verified, err := verifier.Verify(ctx, token)
	if err != nil {
		return nil, err
	}
	caller := &Caller{}
	if err := verified.Claims(caller); err != nil {
		return nil, err
	}
	if caller.ClientID == "" {
		return nil, errors.New("not an access token")
	}
	if caller.Networks != nil {
		return nil, errors.New("the key is restricted to networks, which are not checked here")
	}
	return caller, nil
}
