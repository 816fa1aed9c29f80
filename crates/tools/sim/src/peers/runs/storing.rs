//! Kamailio keeps messages for somebody who is not registered, and changes them: they come back as plain text behind a line of its own.

use rcseal_rcs::transport::Taken;
use rcseal_report::Report;

use super::super::line::{Line, Over, awkward_blob, number_of};
use super::super::{Kamailio, Role, Setup, User};
use super::{PATIENCE, RunError, SILENCE, expect};

pub(in super::super) async fn run(report: &mut Report) -> Result<(), RunError> {
    for is_binary in [true, false] {
        let form = if is_binary { "binary" } else { "text" };
        let (alice, bob) = (User::nth(1), User::nth(2));
        let setup = Setup { role: Role::Store, workers: 1, ..Setup::of(vec![alice.clone(), bob.clone()]) };
        let carrier = Kamailio::start(&setup).await?;
        let from = Line::open(&carrier, &alice, Over::Udp).await?;
        let blob = awkward_blob(400);
        let taken = from.send_blob(&number_of(&bob), &blob, is_binary).await?;
        expect(report, &format!("stored_{form}"), if taken == Taken::Stored { "stored" } else { "answered" }, "stored");
        let to = Line::open(&carrier, &bob, Over::Udp).await?;
        let got = to.take_blob(SILENCE * 2, PATIENCE).await;
        let media_type = got.content_types.into_iter().next().unwrap_or_default();
        expect(report, &format!("stored_comes_back_as_{form}"), &media_type, "text/plain");
        report.promise(&format!("stored_{form}_byte_identical"), got.blobs == [blob]);
    }
    Ok(())
}
