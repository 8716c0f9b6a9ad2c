//! What is put up for switches that ask for news.

use media::Side;
use ng::Happening;

use super::Desk;

impl Desk {
    /// A side has not said for too long that it still wants media: its switch ends the call.
    pub(super) fn handle_consent_lost(&mut self, session: u64, side: Side) {
        tracing::info!(session, ?side, "a side has not answered for 30 s");
        let Some((call_id, branch)) = self.calls.branch_of(session) else {
            return;
        };
        // Nobody could say whose consent it was without a name.
        let Some(tag) = branch.party(side).tag.as_deref() else {
            return;
        };
        let lost = Happening::ConsentLost {
            call_id: call_id.to_string(),
            tag: tag.to_owned(),
        };
        self.news.push(lost);
    }

    /// What has become of recordings since the last look.
    pub(super) fn take_uploads(&mut self) {
        let uploads = self.config.uploads.as_ref();
        for upload in uploads.into_iter().flat_map(|uploads| uploads.try_iter()) {
            self.news.push(upload);
        }
    }
}
