//! What a certificate says: how a client's calls its holder, and until when one holds. That it is good has been found
//! out before: nothing is verified here.

use std::time::Duration;

use rustls::pki_types::CertificateDer;
use x509_cert::Certificate;
use x509_cert::der::Decode;
use x509_cert::der::asn1::{PrintableStringRef, Utf8StringRef};
use x509_cert::der::oid::ObjectIdentifier;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

/// `commonName` (RFC 5280, appendix A.1).
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
/// Names of one certificate; nobody has more.
const MOST: usize = 64;

/// Its common names, and its alternative names of DNS, e-mail and URI. None of what cannot be read.
pub(super) fn names(certificate: &CertificateDer<'_>) -> Vec<String> {
    let Ok(certificate) = Certificate::from_der(certificate) else { return Vec::new() };
    let certificate = certificate.tbs_certificate();
    let common = certificate.subject().iter().filter(|part| part.oid == COMMON_NAME).filter_map(|part| {
        let utf8 = part.value.decode_as::<Utf8StringRef<'_>>().ok().map(|text| text.as_str().to_owned());
        utf8.or_else(|| Some(part.value.decode_as::<PrintableStringRef<'_>>().ok()?.as_str().to_owned()))
    });
    let alternative = certificate.get_extension::<SubjectAltName>().ok().flatten();
    let alternative = alternative.into_iter().flat_map(|(_, names)| names.0).filter_map(|name| match name {
        GeneralName::DnsName(name)
        | GeneralName::Rfc822Name(name)
        | GeneralName::UniformResourceIdentifier(name) => Some(name.as_str().to_owned()),
        _ => None,
    });
    common.chain(alternative).take(MOST).collect()
}

/// When it does not hold any more, since the Unix epoch. `None` of what cannot be read.
pub(super) fn ends(certificate: &CertificateDer<'_>) -> Option<Duration> {
    let certificate = Certificate::from_der(certificate).ok()?;
    Some(certificate.tbs_certificate().validity().not_after.to_unix_duration())
}

#[cfg(test)]
mod tests {
    use rcgen::string::Ia5String;
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    use super::*;

    #[test]
    fn a_certificate_is_known_by_its_common_name_and_its_alternative_names() {
        let mut params = CertificateParams::new(vec!["deploy.example.com".to_owned()]).expect("a name");
        params.distinguished_name.push(DnType::CommonName, "Ada Lovelace");
        params.distinguished_name.push(DnType::OrganizationName, "not-a-name");
        let text = |text: &str| Ia5String::try_from(text).expect("ASCII");
        params.subject_alt_names.push(SanType::URI(text("spiffe://example.com/deploy")));
        params.subject_alt_names.push(SanType::Rfc822Name(text("ada@example.com")));
        let key = KeyPair::generate().expect("a key");
        let made = params.self_signed(&key).expect("a certificate");
        let expected =
            ["Ada Lovelace", "deploy.example.com", "spiffe://example.com/deploy", "ada@example.com"];
        assert_eq!(names(made.der()), expected);
        assert!(names(&CertificateDer::from(vec![0x30, 0x82, 0xff, 0xff])).is_empty());
    }
}
