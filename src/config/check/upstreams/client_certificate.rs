//! What an upstream is shown that wants to know who calls (mTLS): `tls.client_cert` and `tls.client_key`.

use super::Case;
use crate::config::blueprint::{ClientCertificate, Pem};
use crate::config::problem::Findings;
use crate::config::tree::Text;
use crate::vocab::Secret;

/// How every PEM text begins.
const PEM: &str = "-----BEGIN";

impl Case<'_> {
    pub(super) fn client_certificate(&mut self, findings: &mut Findings) -> Option<ClientCertificate> {
        let path = self.path.key("tls");
        let tls = &self.said.tls;
        let (cert, key) = match (&tls.client_cert, &tls.client_key) {
            (None, None) => return None,
            (Some(cert), Some(key)) => (cert, key),
            (cert, _) => {
                let missing = if cert.is_none() { "client_cert" } else { "client_key" };
                let hint = "write both, or neither";
                findings.error_at_key(&path, format!("`{missing}` is missing beside the other one"), hint);
                return None;
            }
        };
        let gaps = [self.gaps(&path.key("client_cert")), self.gaps(&path.key("client_key"))].concat();
        if !gaps.is_empty() {
            self.missing.extend(gaps);
            return None;
        }
        if key.contains(PEM) && self.text(&path.key("client_key")) == Some(&Text::AsWritten) {
            let hint = "name its file, or keep it in the environment (`${NAME}`)";
            findings.error(&path.key("client_key"), "a private key stands here in clear text", hint);
            return None;
        }
        let pem = |text: &str| {
            if text.contains(PEM) { Pem::Text(Secret::new(text)) } else { Pem::File(text.to_owned()) }
        };
        Some(ClientCertificate { cert: pem(cert), key: pem(key) })
    }
}

#[cfg(test)]
mod tests {
    use crate::config::load;
    use crate::config::testing::Given;

    #[test]
    fn an_upstream_whose_certificate_leads_nowhere_is_not_asked_without_one() {
        let text = |field: &str| {
            format!(
                "version: 1\nupstreams: {{a: {{provider: openai, credentials: [k], tls: {{{field}}}}}, s: {{provider: simulated}}}}\n\
                 routes: [{{model: m, channels: [{{upstream: a}}, {{upstream: s}}]}}]\n"
            )
        };
        let lost = load(&text("client_cert: /us.pem, client_key: '${LOST}'"), &Given::default());
        let lost = format!("{:?}", lost.expect("it is well").blueprint.upstreams[0].readiness);
        assert!(lost.contains("LOST"), "{lost}");
        let roots =
            load(&text("ca_file: '${LOST}'"), &Given::default()).expect_err("whom to trust is no choice");
        assert!(format!("{roots:?}").contains("LOST"), "{roots:?}");
    }
}
