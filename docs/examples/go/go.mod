// The Go programs that the how-to guides show.
module keyturn.example/orders

go 1.23.0

require (
	github.com/MicahParks/keyfunc/v3 v3.3.11
	github.com/golang-jwt/jwt/v5 v5.3.0
	golang.org/x/oauth2 v0.30.0
)

require (
	github.com/MicahParks/jwkset v0.8.0 // indirect
	golang.org/x/time v0.9.0 // indirect
)
