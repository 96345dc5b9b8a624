// The clientcredentials package of golang.org/x/oauth2: both ways to authenticate a client, and a wrong
// secret each way.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()

	for _, way := range []struct {
		name  string
		style oauth2.AuthStyle
	}{
		{"client_secret_basic", oauth2.AuthStyleInHeader},
		{"client_secret_post", oauth2.AuthStyleInParams},
		// Tries the header first, and the body when that is refused: both attempts must be answered well.
		{"auto-detect", oauth2.AuthStyleAutoDetect},
	} {
		configOf := func(id, secret string, scopes ...string) *clientcredentials.Config {
			return &clientcredentials.Config{
				ClientID:     id,
				ClientSecret: os.Getenv(secret),
				TokenURL:     os.Getenv("INTEROP_ISSUER") + "/oauth/token",
				Scopes:       scopes,
				AuthStyle:    way.style,
			}
		}
		config := func(secret string, scopes ...string) *clientcredentials.Config {
			return configOf(os.Getenv("INTEROP_CLIENT_ID"), secret, scopes...)
		}

		token, err := config("INTEROP_KEY_TEXT").Token(ctx)
		check(err == nil && token.Valid() && token.Type() == "Bearer" && lifetime(token) == 600,
			way.name+": a token with the secret", err)

		token, err = config("INTEROP_BARE_SECRET", "read:projects/acme/#", "write:projects/acme/*").Token(ctx)
		check(err == nil && token.Extra("scope") == "read:projects/acme/# write:projects/acme/*",
			way.name+": a token with the bare secret and a narrower scope", err)

		_, err = config("INTEROP_WRONG_KEY_TEXT").Token(ctx)
		var refusal *oauth2.RetrieveError
		check(errors.As(err, &refusal) && refusal.ErrorCode == "invalid_client" && refusal.Response.StatusCode == 401,
			way.name+": a wrong secret is reported as invalid_client", err)

		_, err = configOf("0000000000000000", "INTEROP_KEY_TEXT").Token(ctx)
		refusal = nil
		check(errors.As(err, &refusal) && refusal.ErrorCode == "invalid_client" && refusal.Response.StatusCode == 401,
			way.name+": an unknown client_id is reported as invalid_client", err)

		token, err = configOf(os.Getenv("INTEROP_READER_ID"), "INTEROP_READER_KEY_TEXT", "read").Token(ctx)
		check(err == nil && token.Extra("scope") == "read", way.name+": a token for the scope read, spelled so", err)

		_, err = config("INTEROP_KEY_TEXT", "openid").Token(ctx)
		refusal = nil
		check(errors.As(err, &refusal) && refusal.ErrorCode == "invalid_scope",
			way.name+": the scope openid is reported as invalid_scope", err)
	}
}

// The library turns expires_in into a moment.
func lifetime(token *oauth2.Token) int {
	return int(time.Until(token.Expiry).Round(10 * time.Second).Seconds())
}

func check(holds bool, what string, err error) {
	if !holds {
		fmt.Fprintf(os.Stderr, "FAILED go-oauth2: %s: %v\n", what, err)
		os.Exit(1)
	}
	fmt.Println("ok go-oauth2:", what)
}
