//! Signing in by a provider of identities: oidc-provider from npm, and browsers that go there and back.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use testkit::{
    OIDC_CLIENT, OIDC_SECRET, OidcProvider, PanelTests, Platform, PlatformOptions, Visitor,
    wait_for_within,
};

/// A platform, and the provider by which people sign in there.
struct Desk {
    platform: Platform,
    provider: OidcProvider,
    /// Where browsers find the panel.
    panel: String,
}

impl Desk {
    /// Operators are who is in the group `ops`.
    fn start(newcomers: &str) -> Result<Self> {
        Self::start_at(newcomers, |http| http.to_owned())
    }

    fn start_at(newcomers: &str, panel: impl Fn(&str) -> String) -> Result<Self> {
        let keys = json!({ "client_secret": OIDC_SECRET }).to_string();
        let platform = PlatformOptions::new(env!("CARGO_BIN_EXE_tandem"))
            .data_file("oidc-keys.json", keys.as_bytes())
            .start()?;
        let panel = panel(&platform.ready().http);
        let provider = OidcProvider::start(&format!("{panel}/v1/session/oidc/callback"))?;
        let rule =
            |value: &str, role: &str| json!({ "claim": "groups", "value": value, "role": role });
        let oidc = json!({
            "name": "Example",
            "issuer": provider.issuer(),
            "client_id": OIDC_CLIENT,
            "panel_url": panel,
            "newcomers": newcomers,
            "rules": [rule("chiefs", "admin"), rule("ops", "operator")],
        });
        platform
            .rest()
            .change("/v1/settings", &json!({ "oidc": oidc }))?;
        Ok(Self {
            platform,
            provider,
            panel,
        })
    }

    /// Has the provider sign in somebody of these groups.
    fn comes(&mut self, subject: &str, name: &str, groups: &[&str]) -> Result<()> {
        self.provider
            .signs_in(&json!({ "sub": subject, "preferred_username": name, "groups": groups }))
    }

    /// Sends a browser to the provider; where that sends it back to, which it has not opened.
    fn back(&self, visitor: &mut Visitor) -> Result<String> {
        let begin = format!("{}/v1/session/oidc/begin?to=/calls", self.panel);
        visitor.follow(&begin, |url| url.contains("/v1/session/oidc/callback"))
    }

    /// Where a browser gets to that goes to the provider and comes back: the path.
    fn sign_in(&self, visitor: &mut Visitor) -> Result<String> {
        let back = self.back(visitor)?;
        self.open(visitor, &back)
    }

    /// Where a page of the platform sends a browser: the path.
    fn open(&self, visitor: &mut Visitor, url: &str) -> Result<String> {
        let location = visitor.visit(url)?.location.context("it leads nowhere")?;
        let path = location.strip_prefix(&self.panel);
        Ok(path.with_context(|| location.clone())?.to_owned())
    }

    /// Who a browser is signed in as; null: nobody.
    fn session(&self, visitor: &mut Visitor) -> Result<Value> {
        let visited = visitor.visit(&format!("{}/v1/session", self.panel))?;
        match visited.status {
            200 => Ok(serde_json::from_str(&visited.body)?),
            401 => Ok(Value::Null),
            status => anyhow::bail!("{status} {}", visited.body),
        }
    }
}

#[test]
fn a_group_of_the_provider_is_a_role_here() -> Result<()> {
    let mut desk = Desk::start("make")?;
    desk.comes("7", "Ann", &["staff", "ops"])?;
    let mut ann = Visitor::default();
    assert_eq!(desk.session(&mut ann)?, Value::Null);
    assert_eq!(desk.sign_in(&mut ann)?, "/calls");
    let session = desk.session(&mut ann)?;
    let seen = (&session["name"], &session["role"], &session["by"]);
    assert_eq!(seen, (&json!("ann"), &json!("operator"), &json!("oidc")));
    // The log says who made them.
    let log = desk.platform.rest().list("/v1/audit")?;
    let made = log.iter().find(|entry| entry["record"] == session["id"]);
    let made = made.context("nothing in the log")?;
    let actor = made["actor"].as_str().context("no actor")?;
    assert!(actor.contains(&desk.provider.issuer()), "{actor}");
    // The same person with another group has another role, in every browser at once; none lets nobody in.
    desk.provider.tells_in_tokens()?;
    desk.comes("7", "anna", &["chiefs"])?;
    assert_eq!(desk.sign_in(&mut Visitor::default())?, "/calls");
    let session = desk.session(&mut ann)?;
    assert_eq!(
        (&session["name"], &session["role"]),
        (&json!("ann"), &json!("admin"))
    );
    desk.comes("7", "ann", &["staff"])?;
    let refused = desk.sign_in(&mut Visitor::default())?;
    assert_eq!(refused, "/?refused=no-role");
    // Signing out ends it here; the page is told where it ends there.
    let person = format!(
        "/v1/people/{}",
        session["id"].as_str().context("no person")?
    );
    let offer = ann.visit(&format!("{}/v1/session/oidc", desk.panel))?.body;
    let offer: Value = serde_json::from_str(&offer)?;
    let out = offer["sign_out_url"].as_str().context("no way out")?;
    assert!(
        out.starts_with(&format!("{}/session/end?", desk.provider.issuer())),
        "{out}"
    );
    desk.platform
        .rest()
        .change(&person, &json!({ "oidc": null }))?;
    assert_eq!(desk.session(&mut ann)?, Value::Null);
    Ok(())
}

#[test]
fn what_a_browser_brings_is_good_once_and_in_that_browser_alone() -> Result<()> {
    let mut desk = Desk::start("make")?;
    desk.comes("7", "ann", &["ops"])?;
    let mut ann = Visitor::default();
    let back = desk.back(&mut ann)?;
    let mut other = Visitor::default();
    assert_eq!(desk.open(&mut other, &back)?, "/?refused=not-begun");
    assert_eq!(desk.session(&mut other)?, Value::Null);
    // A sign-in of one's own does not take another's code.
    desk.back(&mut other)?;
    assert_eq!(desk.open(&mut other, &back)?, "/?refused=not-begun");
    let (_, state) = back.split_once("state=").context("no state")?;
    let state = state.split('&').next().unwrap_or(state);
    let changed = back.replace(state, "tdm_another");
    assert_eq!(desk.open(&mut ann, &changed)?, "/?refused=not-begun");
    let mut again = ann.clone();
    assert_eq!(desk.open(&mut ann, &back)?, "/calls");
    assert_eq!(desk.session(&mut ann)?["name"], "ann");
    assert_eq!(desk.open(&mut again, &back)?, "/?refused=not-begun");
    assert_eq!(desk.session(&mut again)?, Value::Null);
    // A code that the provider has not given is worth nothing.
    let mut guess = Visitor::default();
    let back = desk.back(&mut guess)?;
    let (_, code) = back.split_once("code=").context("no code")?;
    let code = code.split('&').next().unwrap_or(code);
    let guessed = desk.open(&mut guess, &back.replace(code, "guessed"))?;
    assert_eq!(guessed, "/?refused=provider-refuses");
    Ok(())
}

#[test]
fn only_who_was_made_signs_in_where_newcomers_are_refused() -> Result<()> {
    let mut desk = Desk::start("refuse")?;
    desk.comes("8", "eve", &["chiefs"])?;
    let refused = desk.sign_in(&mut Visitor::default())?;
    assert_eq!(refused, "/?refused=unknown-person");
    // Nobody becomes the administrator by being called so.
    desk.comes("8", "admin", &["chiefs"])?;
    let refused = desk.sign_in(&mut Visitor::default())?;
    assert_eq!(refused, "/?refused=name-taken");
    let done = desk.platform.command_line(&[
        "person",
        "create",
        "bob",
        "--role",
        "viewer",
        "--sign-in",
        "oidc",
        "-o",
        "json",
    ])?;
    ensure!(done.code == 0, "{}", done.stderr);
    let made: Value = serde_json::from_str(&done.stdout)?;
    assert_eq!(
        (&made["sign_in"], &made["password"]),
        (&json!("oidc"), &Value::Null)
    );
    desk.comes("9", "bob", &["ops"])?;
    let mut bob = Visitor::default();
    assert_eq!(desk.sign_in(&mut bob)?, "/calls");
    let session = desk.session(&mut bob)?;
    assert_eq!(
        (&session["id"], &session["role"]),
        (&made["id"], &json!("operator"))
    );
    // Whoever gets the name at the provider later is somebody else.
    desk.comes("10", "bob", &["ops"])?;
    let refused = desk.sign_in(&mut Visitor::default())?;
    assert_eq!(refused, "/?refused=name-taken");
    desk.provider.signs_in(&Value::Null)?;
    let refused = desk.sign_in(&mut Visitor::default())?;
    assert_eq!(refused, "/?refused=provider-refuses");
    Ok(())
}

#[test]
fn keys_of_each_kind_change_while_it_runs() -> Result<()> {
    let mut desk = Desk::start("make")?;
    desk.comes("7", "ann", &["ops"])?;
    assert_eq!(desk.sign_in(&mut Visitor::default())?, "/calls");
    for algorithm in ["ES256", "EdDSA", "RS256", "RS256"] {
        desk.provider.changes_keys(algorithm)?;
        let place = desk.sign_in(&mut Visitor::default())?;
        assert_eq!(place, "/calls", "{algorithm}");
    }
    Ok(())
}

#[test]
fn passwords_are_good_while_the_provider_is_away() -> Result<()> {
    let mut desk = Desk::start("make")?;
    desk.comes("7", "ann", &["ops"])?;
    let mut ann = Visitor::default();
    assert_eq!(desk.sign_in(&mut ann)?, "/calls");
    let mut bob = Visitor::default();
    let back = desk.back(&mut bob)?;
    let Desk {
        mut platform,
        provider,
        panel,
    } = desk;
    drop(provider);
    let path = |visitor: &mut Visitor, url: &str| -> Result<String> {
        let location = visitor.visit(url)?.location.context("it leads nowhere")?;
        Ok(location.replace(&panel, ""))
    };
    assert_eq!(path(&mut bob, &back)?, "/?refused=provider-away");
    let admin = &platform.ready().admin;
    let shown = json!({ "name": admin.name, "password": admin.password });
    let (status, answer) = platform.rest().send("POST", "/v1/session", Some(&shown))?;
    assert_eq!(status, 200, "{answer}");
    // Who was signed in stays so, over a restart, too, after which nothing is known of the provider.
    platform.restart()?;
    let session = ann.visit(&format!("{panel}/v1/session"))?;
    assert_eq!(session.status, 200, "{}", session.body);
    let begun = path(&mut bob, &format!("{panel}/v1/session/oidc/begin"))?;
    assert_eq!(begun, "/?refused=provider-away");
    let (status, answer) = platform.rest().send("POST", "/v1/session", Some(&shown))?;
    assert_eq!(status, 200, "{answer}");
    Ok(())
}

/// The provider is another site to a browser than the panel, as it is in the field.
#[test]
fn a_browser_goes_to_the_provider_and_comes_back_signed_in() -> Result<()> {
    let mut desk = Desk::start_at("make", |http| http.replace("127.0.0.1", "localhost"))?;
    desk.comes("7", "ann", &["ops"])?;
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../target/panel-pictures/oidc.spec.ts");
    let mut tests = PanelTests::start(&desk.platform, "oidc.spec.ts", &directory)?;
    let patience = std::time::Duration::from_secs(170);
    wait_for_within(patience, "oidc.spec.ts", || tests.passed().then_some(()));
    Ok(())
}
