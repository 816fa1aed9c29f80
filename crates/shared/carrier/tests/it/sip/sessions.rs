//! Sessions between two user agents.

use super::*;

const OFFER: &[u8] = b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\n";
const ANSWER: &[u8] = b"v=0\r\no=- 2 2 IN IP4 127.0.0.1\r\ns=-\r\n";

#[tokio::test]
async fn a_session_is_opened_described_and_ended_by_either_side() {
    for (listen, wire) in [(Listen::Udp, Wire::Udp), (Listen::Tcp, Wire::Tcp)] {
        let registrar = FakeRegistrar::start(listen, Auth::None).await;
        let alice = registered(ALICE, &registrar, wire.clone()).await;
        let bob = registered(BOB, &registrar, wire).await;
        for bob_ends in [false, true] {
            let take = async {
                let invite = bob.next_invite().await.unwrap();
                assert_eq!(invite.from(), &Sender::Claimed(number(ALICE)));
                assert_eq!(invite.sdp(), OFFER);
                invite.accept(ANSWER).await.unwrap()
            };
            let to = number(BOB);
            let (ours, theirs) = tokio::join!(alice.invite(&to, OFFER), take);
            let ours = ours.unwrap();
            assert_eq!(ours.remote_sdp(), ANSWER);
            let (ends, waits) = if bob_ends { (&theirs, &ours) } else { (&ours, &theirs) };
            let (said, ()) = tokio::join!(ends.bye(), waits.ended());
            assert_eq!(said, Ok(()));
            ends.ended().await;
        }
        assert_eq!(registrar.count("BYE"), 2);
    }
}

#[tokio::test]
async fn a_session_that_is_dropped_is_ended() {
    let registrar = FakeRegistrar::start(Listen::Udp, Auth::None).await;
    let alice = registered(ALICE, &registrar, Wire::Udp).await;
    let bob = registered(BOB, &registrar, Wire::Udp).await;
    let take = async { bob.next_invite().await.unwrap().accept(ANSWER).await.unwrap() };
    let to = number(BOB);
    let (ours, theirs) = tokio::join!(alice.invite(&to, OFFER), take);
    drop(ours.unwrap());
    theirs.ended().await;
}

#[tokio::test]
async fn a_refusal_is_told_and_acknowledged() {
    let registrar = FakeRegistrar::start(Listen::Udp, Auth::None).await;
    let alice = registered(ALICE, &registrar, Wire::Udp).await;
    let bob = registered(BOB, &registrar, Wire::Udp).await;
    let to = number(BOB);
    let refuse = async { bob.next_invite().await.unwrap().reject(488) };
    assert_eq!(tokio::join!(alice.invite(&to, OFFER), refuse).0.unwrap_err(), SendFailure::UnsupportedMedia);
    let forget = async { drop(bob.next_invite().await) };
    assert_eq!(tokio::join!(alice.invite(&to, OFFER), forget).0.unwrap_err(), SendFailure::NotFound);
    until(|| registrar.count("ACK") >= 2).await;
}

#[tokio::test]
async fn an_invite_that_nobody_takes_is_taken_back() {
    let registrar = FakeRegistrar::start(Listen::Udp, Auth::None).await;
    let alice = registered(ALICE, &registrar, Wire::Udp).await;
    let bob = registered(BOB, &registrar, Wire::Udp).await;
    let to = number(BOB);
    let wait = async {
        let invite = bob.next_invite().await.unwrap();
        invite.cancelled().await;
        assert_eq!(invite.accept(ANSWER).await.unwrap_err(), SendFailure::NotFound);
    };
    let told = tokio::join!(alice.invite(&to, OFFER), wait).0.unwrap_err();
    assert_eq!(told, SendFailure::Refused { status: 487 });
}
