//! How every group is set up.

use openmls::prelude::{
    Capabilities, CredentialType, ExtensionType, Extensions, GroupContext, Lifetime,
    MlsGroupCreateConfig, MlsGroupJoinConfig, PURE_PLAINTEXT_WIRE_FORMAT_POLICY, ProtocolVersion,
    RequiredCapabilitiesExtension, SenderRatchetConfiguration,
};
use openmls::prelude::{Extension, InvalidExtensionError};
use openmls_traits::types::Ciphersuite;

use super::context::{ConversationContext, extension_type};
use super::suite::Suite;

/// Bytes to whose multiples messages are padded.
const PADDING: usize = 128;
/// How far a sender's messages may arrive out of order, and how many may be missing.
const OUT_OF_ORDER: u32 = 32;
const FORWARD: u32 = 1_000;

fn ratchets() -> SenderRatchetConfiguration {
    SenderRatchetConfiguration::new(OUT_OF_ORDER, FORWARD)
}

/// Past epochs are not kept: commits and messages share one order, so a message
/// of an earlier epoch cannot come.
pub(super) fn joining() -> MlsGroupJoinConfig {
    MlsGroupJoinConfig::builder()
        .wire_format_policy(PURE_PLAINTEXT_WIRE_FORMAT_POLICY)
        .padding_size(PADDING)
        .max_past_epochs(0)
        .number_of_resumption_psks(0)
        .use_ratchet_tree_extension(false)
        .sender_ratchet_configuration(ratchets())
        .build()
}

pub(super) fn creating(
    suite: Suite,
    context: &ConversationContext,
) -> Result<MlsGroupCreateConfig, InvalidExtensionError> {
    Ok(MlsGroupCreateConfig::builder()
        .wire_format_policy(PURE_PLAINTEXT_WIRE_FORMAT_POLICY)
        .padding_size(PADDING)
        .max_past_epochs(0)
        .number_of_resumption_psks(0)
        .use_ratchet_tree_extension(false)
        .sender_ratchet_configuration(ratchets())
        .capabilities(capabilities())
        .lifetime(lifetime())
        .ciphersuite(suite.ciphersuite())
        .with_group_context_extensions(extensions(context)?)
        .build())
}

/// Exactly what our devices run; the group requires it of everybody.
pub(super) fn capabilities() -> Capabilities {
    let suites: Vec<Ciphersuite> = Suite::ALL.iter().map(|suite| suite.ciphersuite()).collect();
    Capabilities::new(
        Some(&[ProtocolVersion::Mls10]),
        Some(&suites),
        Some(&[extension_type(), ExtensionType::LastResort]),
        Some(&[]),
        Some(&[CredentialType::Basic]),
    )
}

/// The context's extensions. Capabilities are required from the first epoch on,
/// or the first change of the context would fail.
pub(super) fn extensions(
    context: &ConversationContext,
) -> Result<Extensions<GroupContext>, InvalidExtensionError> {
    let required =
        RequiredCapabilitiesExtension::new(&[extension_type()], &[], &[CredentialType::Basic]);
    Extensions::from_vec(vec![
        Extension::RequiredCapabilities(required),
        context.extension(),
    ])
}

/// How long every leaf of ours holds, as MLS sees it: always. See
/// [`is_timeless`](super::policy::is_timeless).
pub(super) fn lifetime() -> Lifetime {
    Lifetime::init(0, u64::MAX)
}
