//! Tokens and origins.

use crate::client::start;

const DATABASE: &str = "/api/database/preferences";

#[test]
fn rest_opens_to_the_token_in_query_header_and_cookie_only() {
    let running = start(|_| {});
    assert_eq!(running.get(&format!("{DATABASE}?token=secret")).status, 200);
    for right in [
        "Authorization: Bearer secret\r\n",
        "Cookie: a=b; carta-auth-token=secret\r\n",
        "carta-auth-token: secret\r\n",
    ] {
        assert_eq!(running.send("GET", DATABASE, right, b"").status, 200, "{right}");
    }
    let missing = running.get(DATABASE);
    assert_eq!(
        (missing.status, missing.header("www-authenticate")),
        (401, "Bearer")
    );
    assert_eq!(missing.json()["success"], false);
    assert!(missing.json()["message"].as_str().unwrap().contains("token"));
    for wrong in [
        "Authorization: Bearer secre\r\n",
        "Cookie: carta-auth-token=Secret\r\n",
    ] {
        assert_eq!(running.send("GET", DATABASE, wrong, b"").status, 403, "{wrong}");
    }
    assert_eq!(
        running
            .get(&format!("{DATABASE}?token=no_auth_configured"))
            .status,
        403
    );
    assert_eq!(running.get("/api/nothing").status, 401);
    assert_eq!(running.send("POST", "/api/server/stop", "", b"").status, 401);
}

#[test]
fn page_config_and_health_need_no_token() {
    let running = start(|_| {});
    assert_eq!(running.get("/").status, 200);
    assert_eq!(running.get("/config").json()["apiAddress"], "/api");
    let health = running.get("/health");
    assert_eq!(
        (health.status, health.json()["status"].as_str()),
        (200, Some("ok"))
    );
}

#[test]
fn without_authentication_any_token_and_none_will_do() {
    let running = start(|options| options.require_auth = false);
    assert_eq!(running.get(DATABASE).status, 200);
    assert_eq!(
        running
            .get(&format!("{DATABASE}?token=no_auth_configured"))
            .status,
        200
    );
    let url = running.server.as_ref().unwrap().url();
    assert_eq!(url, format!("http://{}/", running.address));
}

#[test]
fn a_random_token_of_256_bits_is_made_when_none_is_given() {
    let running = start(|options| options.auth_token = None);
    let server = running.server.as_ref().unwrap();
    let token = server.token().unwrap().expose().to_owned();
    assert_eq!(token.len(), 64);
    assert_eq!(server.url(), format!("http://{}/?token={token}", running.address));
    assert_eq!(running.get(&format!("{DATABASE}?token={token}")).status, 200);
}

#[test]
fn pages_of_other_sites_can_not_use_the_rest_interface() {
    let running = start(|options| options.allowed_origins = vec!["https://lab.example.org".to_owned()]);
    let from = |origin: &str| {
        let headers = format!("Origin: {origin}\r\nAuthorization: Bearer secret\r\n");
        running.send("GET", DATABASE, &headers, b"").status
    };
    assert_eq!(from(&format!("http://{}", running.address)), 200);
    assert_eq!(from("https://lab.example.org"), 200);
    assert_eq!(from("http://evil.example.org"), 403);
    assert_eq!(from("null"), 403);
}

#[test]
fn metrics_are_for_this_machine_and_for_who_knows_the_token() {
    let running = start(|_| {});
    assert_eq!(running.get("/health").status, 200);
    let metrics = running.get("/metrics");
    assert_eq!(metrics.status, 200);
    let text = metrics.text();
    assert!(
        text.contains("chartroom_http_requests_total{method=\"GET\",status=\"200\"}"),
        "{text}"
    );
    assert!(
        text.contains("chartroom_http_request_seconds_bucket{le=\"0.0005\"}"),
        "{text}"
    );
    assert!(text.contains("# HELP chartroom_links Open WebSockets."), "{text}");
    #[cfg(target_os = "linux")]
    assert!(
        text.contains("chartroom_process_resident_memory_bytes "),
        "{text}"
    );
    let forwarded = "X-Forwarded-For: 192.0.2.1\r\n";
    assert_eq!(running.send("GET", "/metrics", forwarded, b"").status, 401);
    assert_eq!(
        running
            .send("GET", "/metrics?token=secret", forwarded, b"")
            .status,
        200
    );
}
