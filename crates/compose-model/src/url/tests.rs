use super::*;

#[test]
fn all_kinds_of_addresses_are_parsed() {
    for (text, scheme, host, name) in [
        (
            "https://github.com/org/kubernetes",
            Scheme::Https,
            Some("github.com"),
            "kubernetes",
        ),
        (
            "http://127.0.0.1:8080/org/kubernetes.git",
            Scheme::Http,
            Some("127.0.0.1"),
            "kubernetes",
        ),
        (
            "ssh://git@host:2222/org/repo.git",
            Scheme::Ssh,
            Some("host"),
            "repo",
        ),
        ("git@github.com:org/repo", Scheme::Ssh, Some("github.com"), "repo"),
        ("file:///srv/catalog", Scheme::File, None, "catalog"),
        ("/srv/catalog/", Scheme::File, None, "catalog"),
        ("https://[::1]:8443/repo", Scheme::Https, Some("[::1]"), "repo"),
    ] {
        let url = RepoUrl::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(
            (url.scheme(), url.host(), url.name()),
            (scheme, host, name),
            "{text}"
        );
    }
}

#[test]
fn dangerous_and_invalid_addresses_are_refused() {
    for (text, why) in [
        ("", InvalidUrl::Empty),
        ("ext::sh -c id", InvalidUrl::Character),
        ("ext::sh", InvalidUrl::Scheme),
        ("fd::7", InvalidUrl::Scheme),
        ("javascript:alert(1)", InvalidUrl::Scheme),
        ("git://host/repo", InvalidUrl::Scheme),
        ("HTTPS://host/repo", InvalidUrl::UpperCaseScheme),
        ("-oProxyCommand=x", InvalidUrl::LeadingDash),
        ("ssh://-oProxyCommand=x/repo", InvalidUrl::LeadingDash),
        ("user@-oProxyCommand=x:repo", InvalidUrl::LeadingDash),
        ("-u@host:repo", InvalidUrl::LeadingDash),
        ("git@host:-repo", InvalidUrl::LeadingDash),
        ("https://user:secret@host/repo", InvalidUrl::Secret),
        ("https://ghp_token@host/repo", InvalidUrl::Secret),
        ("https://glpat-x@host/repo", InvalidUrl::Secret),
        (
            "https://0123456789abcdef0123456789abcdef01234567@host/repo",
            InvalidUrl::Secret,
        ),
        ("https://me:@host/repo", InvalidUrl::Secret),
        ("https://host/re%0apo", InvalidUrl::Character),
        ("https://host\\@evil/repo", InvalidUrl::Character),
        ("https:///repo", InvalidUrl::Host),
        ("https://host", InvalidUrl::Path),
        ("https://host:0/repo", InvalidUrl::Port),
        ("https://host/repo?x=1", InvalidUrl::Query),
        ("../catalog", InvalidUrl::Relative),
        ("file://host/path", InvalidUrl::Host),
    ] {
        assert_eq!(RepoUrl::parse(text).err(), Some(why), "{text:?}");
    }
}

#[test]
fn spellings_of_one_address_are_equal() {
    let url = |text| RepoUrl::parse(text).unwrap();
    assert_eq!(
        url("https://GitHub.com:443/org/repo.git"),
        url("https://github.com/org/repo/")
    );
    assert_eq!(url("ssh://git@host/org/repo"), url("git@host:org/repo.git"));
    assert_ne!(url("https://host/repo"), url("http://host/repo"));
    assert_eq!(
        url("https://org@dev.azure.com/org/_git/repo"),
        url("https://dev.azure.com/org/_git/repo")
    );
    assert_ne!(url("ssh://me@host/repo"), url("ssh://you@host/repo"));
}

#[test]
fn lower_case_is_for_comparing_hosts_only() {
    for text in [
        "git@Catalogs-Work:Org/Repo",
        "ssh://Me@Catalogs-Work:22/Org/Repo.git",
        "https://GitHub.com:443/Org/Repo/",
    ] {
        let url = RepoUrl::parse(text).unwrap();
        assert_eq!(
            (url.as_str(), url.to_string().as_str(), format!("{url:?}")),
            (text, text, format!("{text:?}"))
        );
        let written = url.written_host().unwrap();
        assert!(text.contains(written), "{written}");
        assert_eq!(url.host(), Some(written.to_lowercase().as_str()));
        let lower = text.replace(written, &written.to_lowercase());
        assert_eq!(url, RepoUrl::parse(&lower).unwrap());
    }
}

#[test]
fn an_address_keeps_the_spelling_of_its_host_and_its_login() {
    for (text, user, host, without_user) in [
        (
            "https://my-org@Dev.Azure.com:8443/my-org/_git/Repo",
            Some("my-org"),
            "Dev.Azure.com",
            "https://Dev.Azure.com:8443/my-org/_git/Repo",
        ),
        (
            "git@Catalogs-Work:org/repo",
            Some("git"),
            "Catalogs-Work",
            "Catalogs-Work:org/repo",
        ),
        ("ssh://Host:22/repo", None, "Host", "ssh://Host:22/repo"),
        (
            "ssh://git@[::A]:22/repo",
            Some("git"),
            "[::A]",
            "ssh://[::A]:22/repo",
        ),
    ] {
        let url = RepoUrl::parse(text).unwrap();
        assert_eq!(url.to_string(), text);
        assert_eq!(url.user(), user, "{text}");
        assert_eq!(url.written_host(), Some(host), "{text}");
        assert_eq!(url.host(), Some(host.to_lowercase().as_str()), "{text}");
        assert_eq!(url.without_user(), without_user);
    }
    assert_eq!(RepoUrl::parse("/srv/catalog").unwrap().written_host(), None);
}

#[test]
fn plain_http_to_another_machine_is_unprotected() {
    for (text, is_unprotected) in [
        ("http://git.example.org/org/repo", true),
        ("http://10.0.0.1/repo", true),
        ("http://localhost.example.org/repo", true),
        ("http://localhost:8080/repo", false),
        ("http://127.0.0.1:8080/repo", false),
        ("http://[::1]/repo", false),
        ("https://git.example.org/org/repo", false),
        ("ssh://git.example.org/org/repo", false),
        ("/srv/repo", false),
    ] {
        let url = RepoUrl::parse(text).unwrap();
        assert_eq!(url.is_unprotected(), is_unprotected, "{text}");
    }
}
