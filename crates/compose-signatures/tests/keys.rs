use compose_model::Diagnostic;
use compose_signatures::Keys;
use compose_testkit::fuzz;
use ssh_key::{
    Mpint, PublicKey,
    public::{KeyData, RsaPublicKey},
};

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";

/// Returns `line:column message (hint)` of every error.
fn rendered_errors(errors: Vec<Diagnostic>) -> Vec<String> {
    let tell = |error: Diagnostic| {
        let (line, column) = error.place.as_ref().map_or((0, 0), |place| {
            assert_eq!(&*place.file, "allowed_signers");
            place.line_column()
        });
        assert!(
            error.hints.iter().any(|hint| !hint.is_empty()),
            "{} has no hint",
            error.message
        );
        format!("{line}:{column} {}", error.message)
    };
    errors.into_iter().map(tell).collect()
}

fn errors(text: &str) -> Vec<String> {
    rendered_errors(
        Keys::parse("allowed_signers", text.as_bytes())
            .err()
            .unwrap_or_else(|| panic!("{text:?} is taken")),
    )
}

#[test]
fn the_forms_that_openssh_reads_are_read() {
    for line in [
        format!("ada@example.org {KEY}"),
        format!("ada@example.org {KEY} a comment with \"a quote"),
        format!("  ada@example.org\t\t{KEY}  "),
        format!("ada@example.org,*@example.com,!eve@example.com {KEY}"),
        format!("\"Ada Lovelace\" {KEY}"),
        format!("ada namespaces=\"git\" {KEY}"),
        format!("ada namespaces=\"git,file\",valid-after=\"20200101\",valid-before=\"20300101Z\" {KEY}"),
        format!("ada NAMESPACES=\"a b\" {KEY}"),
        format!("# a comment\n\n   # another\nada {KEY}\r\n"),
        format!("\u{feff}ada {KEY}"),
    ] {
        let keys = Keys::parse("allowed_signers", line.as_bytes());
        assert!(keys.is_ok(), "{line}: {:?}", keys.err());
    }
}

#[test]
fn every_mistake_is_reported_with_its_place() {
    let text = format!(
        "# keys\n{KEY}\nada {KEY}\nada\nada ssh-ed25519\nada ssh-ed25519 AAAA\nada namespace=\"git\" {KEY}\n\
         ada cert-authority {KEY}\nada namespaces=git {KEY}\nada valid-before=\"tomorrow\" {KEY}\n\
         ada namespaces=\"a\",namespaces=\"b\" {KEY}\nada valid-after=\"20240102\",valid-before=\"20240102\" {KEY}\n\
         ada namespaces=\"git {KEY}\n@cert-authority *.example.org {KEY}\n  @revoked\nada {}\n",
        KEY.replace("ssh-ed25519", "ssh-rsa")
    );
    assert_eq!(
        errors(&text),
        [
            "2:1 no name stands before the key",
            "4:1 the key is missing",
            "5:1 the key is missing",
            "6:17 the key cannot be read: Base64 encoding error: invalid Base64 length",
            "7:5 this is not an option of a key",
            "8:5 certificate authorities are not supported",
            "9:5 `namespaces` needs a value in quotes",
            "10:5 the value of `valid-before` is no time",
            "11:20 `namespaces` is given twice",
            "12:5 `valid-before` is not after `valid-after`",
            "13:5 a quote is not closed",
            "14:1 a word that starts with `@` is no name",
            "15:3 the key is missing",
            "16:13 the key cannot be read: unknown algorithm",
        ]
    );
}

#[test]
fn files_that_are_not_lists_of_keys_are_distinguished() {
    for (text, expected) in [
        ("", "1:1 the file trusts no key"),
        ("# nobody\n", "1:1 the file trusts no key"),
        (&format!("@revoked {KEY}\n"), "1:1 the file trusts no key"),
        (
            "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1r\n-----END OPENSSH PRIVATE KEY-----\n",
            "1:1 a private key stands among the trusted keys",
        ),
        (
            "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nlFgE",
            "1:1 a private key stands among the trusted keys",
        ),
        (
            "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
            "1:1 the block is no public key",
        ),
    ] {
        assert_eq!(errors(text), [expected], "{text:?}");
    }
    assert_eq!(
        rendered_errors(Keys::parse("keyring.gpg", b"\x98\x33\x04\xff").unwrap_err()),
        ["0:0 keyring.gpg is no text"]
    );
    #[cfg(not(feature = "openpgp"))]
    assert_eq!(
        errors("-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmDME\n-----END PGP PUBLIC KEY BLOCK-----\n"),
        ["1:1 this build reads no OpenPGP keys"]
    );
}

#[test]
fn keys_that_prove_nothing_are_refused() {
    let rsa = |bits: usize| {
        let n = Mpint::from_positive_bytes(&vec![0xff; bits / 8]).unwrap();
        let e = Mpint::from_positive_bytes(&[1, 0, 1]).unwrap();
        PublicKey::from(KeyData::Rsa(RsaPublicKey { e, n }))
            .to_openssh()
            .unwrap()
    };
    assert!(Keys::parse("allowed_signers", format!("ada {}", rsa(2048)).as_bytes()).is_ok());
    assert!(Keys::parse("allowed_signers", format!("ada {}", rsa(4096)).as_bytes()).is_ok());
    for bits in [1024, 2040, 4104, 8192] {
        let expected = format!("1:5 the key is an RSA key of {bits} bits; 2048 to 4096 are accepted");
        assert_eq!(errors(&format!("ada {}", rsa(bits))), [expected]);
    }
    let dsa = "ssh-dss AAAAB3NzaC1kc3MAAAABAwAAAAEFAAAAAQcAAAABCQ==";
    assert_eq!(
        errors(&format!("ada {dsa}")),
        ["1:5 the key is of the type `ssh-dss`, which is not supported"]
    );
}

#[test]
fn a_list_of_revoked_keys_is_read_whole_or_not_at_all() {
    let mut keys = Keys::parse("allowed_signers", format!("ada {KEY}\n").as_bytes()).unwrap();
    assert!(keys.revoke("allowed_signers", b"").is_ok());
    assert!(
        keys.revoke(
            "allowed_signers",
            format!("# lost\n\n{KEY} laptop\n{KEY}\n").as_bytes()
        )
        .is_ok()
    );
    let refused = keys.revoke(
        "allowed_signers",
        format!("{KEY}\nada {KEY}\n{}\n", &KEY[..40]).as_bytes(),
    );
    assert_eq!(
        rendered_errors(refused.unwrap_err()),
        [
            "2:5 the key cannot be read: Base64 encoding error: invalid Base64 encoding",
            "3:13 the key cannot be read: Base64 encoding error: invalid Base64 length"
        ]
    );
    let refused = keys.revoke("revoked.krl", b"SSHKRL\n\0\0\0\0\x01").unwrap_err();
    assert_eq!(
        rendered_errors(refused),
        ["0:0 revoked.krl is a binary revocation list, which is not read"]
    );
}

#[test]
fn random_damage_to_a_file_of_keys_never_panics() {
    let text = format!(
        "\"ada, l\" namespaces=\"git\\\"x\",valid-after=\"20200101\" {KEY} c\n@revoked {KEY}\n-----BEGIN X-----\n"
    );
    for at in 0..text.len() {
        for byte in [b'"', b'\\', b' ', b',', b'=', b'\n', b'-', 0, 0xff] {
            let mut damaged = text.clone().into_bytes();
            damaged[at] = byte;
            let _ = Keys::parse("allowed_signers", &damaged);
            damaged.truncate(at);
            let _ = Keys::parse("allowed_signers", &damaged);
        }
    }
}

#[test]
fn damaged_files_of_keys_neither_panic_nor_hang() {
    let keys = format!("# keys\nada@example.org,*@b namespaces=\"git\",valid-after=\"20200101\" {KEY} a\n");
    assert!(Keys::parse("allowed_signers", keys.as_bytes()).is_ok());
    fuzz::feed(1500, &[keys.as_str()], fuzz::PIECES, |text, _| {
        let _ = Keys::parse("allowed_signers", text);
    });
}
