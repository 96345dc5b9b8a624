@Configuration
class Tokens {
    private static final String ISSUER = "https://keys.example.com";
    private static final String AUDIENCE = "https://api.example.com";

    @Bean
    JwtDecoder jwtDecoder() {
        // By default Spring accepts only typ JWT.
        var typ = new DefaultJOSEObjectTypeVerifier<SecurityContext>(new JOSEObjectType("at+jwt"));
        var decoder = NimbusJwtDecoder.withJwkSetUri(ISSUER + "/.well-known/jwks.json")
            .jwsAlgorithm(SignatureAlgorithm.ES256)
            .jwtProcessorCustomizer(processor -> processor.setJWSTypeVerifier(typ))
            .build();
        decoder.setJwtValidator(new DelegatingOAuth2TokenValidator<>(
            new JwtTimestampValidator(Duration.ZERO),
            new JwtIssuerValidator(ISSUER),
            new JwtClaimValidator<List<String>>("aud", aud -> aud != null && aud.contains(AUDIENCE)),
            // A key that is restricted to networks, which are not checked here.
            new JwtClaimValidator<Object>("cidrs", Objects::isNull)));
        return decoder;
    }
}
