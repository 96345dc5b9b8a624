package orders.client;

import org.springframework.beans.factory.annotation.Value;
import org.springframework.boot.CommandLineRunner;
import org.springframework.boot.WebApplicationType;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.boot.builder.SpringApplicationBuilder;
import org.springframework.context.annotation.Bean;
import org.springframework.security.oauth2.client.AuthorizedClientServiceOAuth2AuthorizedClientManager;
import org.springframework.security.oauth2.client.InMemoryOAuth2AuthorizedClientService;
import org.springframework.security.oauth2.client.registration.ClientRegistration;
import org.springframework.security.oauth2.client.registration.InMemoryClientRegistrationRepository;
import org.springframework.security.oauth2.client.web.client.OAuth2ClientHttpRequestInterceptor;
import org.springframework.security.oauth2.core.AuthorizationGrantType;
import org.springframework.web.client.RestClient;

/** Gets tokens with Spring Security and calls an API with them. Spring requests a new token shortly before the old one expires. */
@SpringBootApplication
public class ClientApplication {
    public static void main(String[] arguments) {
        new SpringApplicationBuilder(ClientApplication.class).web(WebApplicationType.NONE).run(arguments);
    }

    @Bean
    RestClient api(
            @Value("${issuer}") String issuer, @Value("${client.id}") String id, @Value("${client.secret}") String secret) {
        ClientRegistration registration = ClientRegistration.withRegistrationId("keyturn")
                .tokenUri(issuer + "/oauth/token")
                .clientId(id)
                .clientSecret(secret)
                .authorizationGrantType(AuthorizationGrantType.CLIENT_CREDENTIALS)
                .scope("read:orders/*")
                .build();
        var registrations = new InMemoryClientRegistrationRepository(registration);
        var manager = new AuthorizedClientServiceOAuth2AuthorizedClientManager(
                registrations, new InMemoryOAuth2AuthorizedClientService(registrations));
        var interceptor = new OAuth2ClientHttpRequestInterceptor(manager);
        interceptor.setClientRegistrationIdResolver(request -> "keyturn");
        return RestClient.builder().requestInterceptor(interceptor).build();
    }

    @Bean
    CommandLineRunner call(RestClient api, @Value("${api.url}") String url) {
        return arguments -> System.out.println(api.get().uri(url).retrieve().body(String.class));
    }
}
