// Nimbus OAuth 2.0 SDK, which Spring Security is built on: discovery, both ways to authenticate a client,
// introspection, revocation, and the errors as its constants.

import com.nimbusds.oauth2.sdk.ClientCredentialsGrant;
import com.nimbusds.oauth2.sdk.ErrorObject;
import com.nimbusds.oauth2.sdk.OAuth2Error;
import com.nimbusds.oauth2.sdk.Scope;
import com.nimbusds.oauth2.sdk.TokenIntrospectionRequest;
import com.nimbusds.oauth2.sdk.TokenIntrospectionResponse;
import com.nimbusds.oauth2.sdk.TokenRequest;
import com.nimbusds.oauth2.sdk.TokenResponse;
import com.nimbusds.oauth2.sdk.TokenRevocationRequest;
import com.nimbusds.oauth2.sdk.as.AuthorizationServerMetadata;
import com.nimbusds.oauth2.sdk.auth.ClientAuthentication;
import com.nimbusds.oauth2.sdk.auth.ClientSecretBasic;
import com.nimbusds.oauth2.sdk.auth.ClientSecretPost;
import com.nimbusds.oauth2.sdk.auth.Secret;
import com.nimbusds.oauth2.sdk.id.ClientID;
import com.nimbusds.oauth2.sdk.id.Issuer;
import com.nimbusds.oauth2.sdk.token.AccessToken;
import com.nimbusds.oauth2.sdk.token.AccessTokenType;
import java.util.function.BiFunction;

public final class Nimbus {
  private static AuthorizationServerMetadata metadata;

  public static void main(String[] arguments) throws Exception {
    metadata = AuthorizationServerMetadata.resolve(new Issuer(env("ISSUER")));
    check(metadata.getIssuer().getValue().equals(env("ISSUER")), "discovered through RFC 8414");
    with("client_secret_basic", (id, secret) -> new ClientSecretBasic(new ClientID(id), new Secret(secret)));
    with("client_secret_post", (id, secret) -> new ClientSecretPost(new ClientID(id), new Secret(secret)));
  }

  private static void with(String name, BiFunction<String, String, ClientAuthentication> way) throws Exception {
    String id = env("CLIENT_ID");
    ClientAuthentication owner = way.apply(id, env("KEY_TEXT"));
    AccessToken token = token(request(owner, null));
    check(token.getType().equals(AccessTokenType.BEARER) && token.getLifetime() == 600,
        name + ": a token with the full secret");
    TokenIntrospectionResponse told = introspect(owner, token);
    check(told.toSuccessResponse().isActive() && told.toSuccessResponse().getClientID().getValue().equals(id),
        name + ": the token introspects as active");
    var revoked = new TokenRevocationRequest(metadata.getRevocationEndpointURI(), owner, token).toHTTPRequest().send();
    check(revoked.getStatusCode() == 200 && !introspect(owner, token).toSuccessResponse().isActive(),
        name + ": revoked, it introspects as inactive");

    token = token(request(way.apply(id, env("BARE_SECRET")), "read:projects/acme/# write"));
    check(token.getScope().toString().equals("read:projects/acme/# write"),
        name + ": a token with the bare secret and a narrower scope");
    token = token(request(way.apply(env("READER_ID"), env("READER_KEY_TEXT")), "read"));
    check(token.getScope().toString().equals("read"), name + ": a token for the scope read, spelled so");

    String unknown = new StringBuilder(id).reverse().toString();
    check(error(request(way.apply(id, env("WRONG_KEY_TEXT")), null)).equals(OAuth2Error.INVALID_CLIENT),
        name + ": a wrong secret is reported as invalid_client");
    check(error(request(way.apply(unknown, env("KEY_TEXT")), null)).equals(OAuth2Error.INVALID_CLIENT),
        name + ": an unknown client_id is reported as invalid_client");
    check(error(request(owner, "openid")).equals(OAuth2Error.INVALID_SCOPE),
        name + ": the scope openid is reported as invalid_scope");
  }

  private static TokenResponse request(ClientAuthentication client, String scope) throws Exception {
    var request = new TokenRequest.Builder(metadata.getTokenEndpointURI(), client, new ClientCredentialsGrant());
    if (scope != null) {
      request.scope(Scope.parse(scope));
    }
    return TokenResponse.parse(request.build().toHTTPRequest().send());
  }

  private static AccessToken token(TokenResponse response) {
    return response.toSuccessResponse().getTokens().getAccessToken();
  }

  private static ErrorObject error(TokenResponse response) {
    return response.indicatesSuccess() ? null : response.toErrorResponse().getErrorObject();
  }

  private static TokenIntrospectionResponse introspect(ClientAuthentication client, AccessToken token)
      throws Exception {
    var request = new TokenIntrospectionRequest(metadata.getIntrospectionEndpointURI(), client, token);
    return TokenIntrospectionResponse.parse(request.toHTTPRequest().send());
  }

  private static String env(String name) {
    return System.getenv("INTEROP_" + name);
  }

  private static void check(boolean holds, String what) {
    if (!holds) {
      System.err.println("FAILED nimbus: " + what);
      System.exit(1);
    }
    System.out.println("ok nimbus: " + what);
  }
}
