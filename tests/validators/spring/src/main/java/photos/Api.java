package photos;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.File;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.context.annotation.Bean;
import org.springframework.security.config.Customizer;
import org.springframework.security.config.annotation.web.builders.HttpSecurity;
import org.springframework.security.web.SecurityFilterChain;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RestController;

/** An API with Spring Security's resource server: on each port, for one audience and one scope. */
@SpringBootApplication
@RestController
public class Api {
    public static void main(String[] arguments) throws Exception {
        String server = "--spring.security.oauth2.resourceserver.jwt.";
        for (JsonNode config : new ObjectMapper().readTree(new File(arguments[0]))) {
            SpringApplication.run(
                    Api.class,
                    "--server.address=127.0.0.1",
                    "--server.port=" + config.get("port").asInt(),
                    "--logging.level.root=warn",
                    "--scope=" + config.get("scope").asText(),
                    server + "issuer-uri=" + config.get("issuer").asText(),
                    server + "audiences=" + config.get("audience").asText());
        }
    }

    @Bean
    SecurityFilterChain security(HttpSecurity http, @Value("${scope}") String scope) throws Exception {
        return http.authorizeHttpRequests(requests -> requests.anyRequest().hasAuthority("SCOPE_" + scope))
                .oauth2ResourceServer(resource -> resource.jwt(Customizer.withDefaults()))
                .build();
    }

    @GetMapping("/")
    String photos() {
        return "";
    }
}
