//! Recorded conversations with libsignal replay without it: every message of ours comes out byte for byte, every message
//! of libsignal's is read once and refused the second time. `cargo xtask interop libsignal` runs against libsignal itself;
//! with `--record` it writes the file anew.

use std::path::PathBuf;

use rcseal_signal::*;
use serde_json::Value;

use crate::support::Side;
use crate::tape::Replay;

const V4: Profile = Profile::SignalV4;

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap()).unwrap()
}

fn id(value: &Value) -> u32 {
    u32::try_from(value.as_u64().unwrap()).unwrap()
}

fn address(party: &Value) -> Address {
    Address::new(bytes(&party["account"]).try_into().unwrap(), u8::try_from(id(&party["device"])).unwrap())
}

fn bundle(value: &Value) -> PreKeyBundle {
    let (signed, kem, one_time) = (&value["signed"], &value["kem"], &value["oneTime"]);
    PreKeyBundle {
        identity: IdentityKey::from_encoded(V4, &bytes(&value["identity"])).unwrap(),
        signed_prekey: SignedPreKeyPublic::from_encoded(
            V4,
            id(&signed["id"]),
            &bytes(&signed["key"]),
            &bytes(&signed["signature"]),
        )
        .unwrap(),
        kem_prekey: KemPreKeyPublic::from_encoded(V4, id(&kem["id"]), &bytes(&kem["key"]), &bytes(&kem["signature"]))
            .unwrap(),
        one_time: Some(OneTimePreKeyPublic::from_encoded(V4, id(&one_time["id"]), &bytes(&one_time["key"])).unwrap()),
    }
}

fn replay(conversation: &Value) {
    let ours = IdentityKeyPair::from_secret_bytes(bytes(&conversation["ours"]["identity_secret"]).try_into().unwrap());
    let our_address = address(&conversation["ours"]);
    let theirs = Peer {
        address: address(&conversation["theirs"]),
        identity: IdentityKey::from_encoded(V4, &bytes(&conversation["theirs"]["identity"])).unwrap(),
    };
    let mut side = match conversation["role"].as_str().unwrap() {
        "initiator" => {
            let verified = bundle(&conversation["bundle"]).verify(V4).unwrap();
            let registration_id = Some(id(&conversation["ours"]["registration_id"]));
            let local = Local { identity: &ours, address: our_address, registration_id, states_addresses: true };
            let mut random = Replay::new(conversation["random"].as_str().unwrap());
            let session = Session::initiate_from(&mut random, V4, local, theirs, verified).unwrap();
            assert!(random.is_used_up());
            Some(Side::new(session))
        }
        "responder" => None,
        other => panic!("unknown role {other}"),
    };
    for (number, step) in conversation["steps"].as_array().unwrap().iter().enumerate() {
        let message = bytes(&step["message"]);
        let side = match &mut side {
            Some(side) => side,
            empty => {
                let prekeys = &conversation["prekeys"];
                let signed = SignedPreKey::from_bytes(&bytes(&prekeys["signed"])).unwrap();
                let kem = KemPreKey::from_bytes(&bytes(&prekeys["kem"])).unwrap();
                let one_time = OneTimePreKey::from_bytes(&bytes(&prekeys["one_time"])).unwrap();
                let keys = ResponderKeys { signed: &signed, kem: &kem, one_time: Some(&one_time) };
                let parsed = PreKeyMessage::parse(&message).unwrap();
                let accepting = Session::accept(V4, &ours, our_address, theirs, parsed, keys).unwrap();
                let accepted = accepting.decrypt_first().unwrap();
                assert_eq!(accepted.plaintext, bytes(&step["plaintext"]));
                *empty = Some(Side::accepted(accepted.session, &accepted.delta));
                continue;
            }
        };
        // Every step starts from the stored record.
        side.restart();
        match step["action"].as_str().unwrap() {
            "encrypt" => {
                let mut random = Replay::new(step["random"].as_str().unwrap());
                let made = side.session.encrypt(&mut random, &bytes(&step["plaintext"])).unwrap();
                assert!(random.is_used_up(), "step {number} draws less than was recorded");
                assert_eq!(made.output, message, "step {number}");
                side.commit(&made.delta);
            }
            "decrypt" => assert_eq!(side.receive(&message).unwrap(), bytes(&step["plaintext"]), "step {number}"),
            "refuse" => assert_eq!(side.receive(&message).unwrap_err().code(), step["code"], "step {number}"),
            other => panic!("unknown action {other}"),
        }
    }
}

#[test]
fn recorded_conversations_replay_in_both_roles() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../vectors/signal/libsignal-v4.json");
    let recording: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let conversations = recording["conversations"].as_array().unwrap();
    let roles: Vec<&str> = conversations.iter().map(|conversation| conversation["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["initiator", "responder"]);
    conversations.iter().for_each(replay);
}
