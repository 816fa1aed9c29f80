// One libsignal device behind a pipe: reads a JSON object per line, answers with one per line, bytes in hexadecimal.
//
// Started by `crates/device/signal/tests/interop`. Only libsignal's documented API is called. Everything the device knows is in
// `stores`, as serialised records, so that `export` gives what a disk would hold and `import` is a restart from it.

import { createInterface } from 'node:readline';
import { stdin, stdout } from 'node:process';
import * as signal from '@signalapp/libsignal-client';

const hex = (bytes) => Buffer.from(bytes).toString('hex');
const bytes = (text) => new Uint8Array(Buffer.from(text, 'hex'));
const address = (peer) => signal.ProtocolAddress.new(peer.name, peer.device);
const key = (of) => `${of.name()}.${of.deviceId()}`;

/** Everything that would be on disk: plain values and hexadecimal records. */
let stores;

class Sessions extends signal.SessionStore {
  async saveSession(of, record) {
    stores.sessions[key(of)] = hex(record.serialize());
  }
  async getSession(of) {
    const record = stores.sessions[key(of)];
    return record === undefined ? null : signal.SessionRecord.deserialize(bytes(record));
  }
  async getExistingSessions(addresses) {
    const records = await Promise.all(addresses.map((of) => this.getSession(of)));
    if (records.includes(null)) throw new Error('no session');
    return records;
  }
}

class Identities extends signal.IdentityKeyStore {
  async getIdentityKey() {
    return signal.PrivateKey.deserialize(bytes(stores.identity));
  }
  async getLocalRegistrationId() {
    return stores.registration;
  }
  async saveIdentity(of, identity) {
    const [before, now] = [stores.identities[key(of)], hex(identity.serialize())];
    stores.identities[key(of)] = now;
    return before === undefined || before === now
      ? signal.IdentityChange.NewOrUnchanged
      : signal.IdentityChange.ReplacedExisting;
  }
  async isTrustedIdentity(of, identity) {
    const known = stores.identities[key(of)];
    return known === undefined || known === hex(identity.serialize());
  }
  async getIdentity(of) {
    const known = stores.identities[key(of)];
    return known === undefined ? null : signal.PublicKey.deserialize(bytes(known));
  }
}

/** The record of that id, or the error a store has to throw. */
function stored(kind, id) {
  const record = stores[kind][id];
  if (record === undefined) throw new Error(`no ${kind} ${id}`);
  return bytes(record);
}

class PreKeys extends signal.PreKeyStore {
  async savePreKey(id, record) {
    stores.oneTime[id] = hex(record.serialize());
  }
  async getPreKey(id) {
    return signal.PreKeyRecord.deserialize(stored('oneTime', id));
  }
  async removePreKey(id) {
    delete stores.oneTime[id];
  }
}

class SignedPreKeys extends signal.SignedPreKeyStore {
  async saveSignedPreKey(id, record) {
    stores.signed[id] = hex(record.serialize());
  }
  async getSignedPreKey(id) {
    return signal.SignedPreKeyRecord.deserialize(stored('signed', id));
  }
}

class KemPreKeys extends signal.KyberPreKeyStore {
  async saveKyberPreKey(id, record) {
    stores.kem[id] = hex(record.serialize());
  }
  async getKyberPreKey(id) {
    return signal.KyberPreKeyRecord.deserialize(stored('kem', id));
  }
  async markKyberPreKeyUsed(id, signedId, baseKey) {
    const use = `${id}.${signedId}.${hex(baseKey.serialize())}`;
    if (stores.kemUses.includes(use)) throw new Error('base key seen before');
    stores.kemUses.push(use);
  }
}

const sessions = new Sessions();
const identities = new Identities();
const preKeys = new PreKeys();
const signedPreKeys = new SignedPreKeys();
const kemPreKeys = new KemPreKeys();
const local = () => signal.ProtocolAddress.new(stores.name, stores.device);

/** Changes the stored session with a peer, if there is one. */
async function withSession(peer, change) {
  const record = await sessions.getSession(address(peer));
  if (record === null) return false;
  change(record);
  await sessions.saveSession(address(peer), record);
  return true;
}

const operations = {
  /** A new device: fresh identity key, empty stores. */
  async init({ name, device, registration }) {
    const identity = signal.PrivateKey.generate();
    stores = {
      name,
      device,
      registration,
      identity: hex(identity.serialize()),
      nextId: 1,
      sessions: {},
      identities: {},
      oneTime: {},
      signed: {},
      kem: {},
      kemUses: [],
    };
    return { identity: hex(identity.getPublicKey().serialize()), node: process.version };
  },

  /** Fresh prekeys, as a directory would hand them out. */
  async bundle({ oneTime }) {
    const identity = await identities.getIdentityKey();
    const signed = signal.PrivateKey.generate();
    const signedPublic = signed.getPublicKey();
    const signedSignature = identity.sign(signedPublic.serialize());
    const kem = signal.KEMKeyPair.generate();
    const kemPublic = kem.getPublicKey();
    const kemSignature = identity.sign(kemPublic.serialize());
    const id = stores.nextId;
    stores.nextId += 1;
    await signedPreKeys.saveSignedPreKey(
      id,
      signal.SignedPreKeyRecord.new(id, Date.now(), signedPublic, signed, signedSignature)
    );
    await kemPreKeys.saveKyberPreKey(id, signal.KyberPreKeyRecord.new(id, Date.now(), kem, kemSignature));
    const answer = {
      registration: stores.registration,
      identity: hex(identity.getPublicKey().serialize()),
      signed: { id, key: hex(signedPublic.serialize()), signature: hex(signedSignature) },
      kem: { id, key: hex(kemPublic.serialize()), signature: hex(kemSignature) },
    };
    if (oneTime) {
      const secret = signal.PrivateKey.generate();
      await preKeys.savePreKey(id, signal.PreKeyRecord.new(id, secret.getPublicKey(), secret));
      answer.oneTime = { id, key: hex(secret.getPublicKey().serialize()) };
    }
    return answer;
  },

  /** Begins a session with a peer from its bundle. */
  async process({ peer, bundle }) {
    const made = signal.PreKeyBundle.new(
      bundle.registration,
      peer.device,
      bundle.oneTime ? bundle.oneTime.id : null,
      bundle.oneTime ? signal.PublicKey.deserialize(bytes(bundle.oneTime.key)) : null,
      bundle.signed.id,
      signal.PublicKey.deserialize(bytes(bundle.signed.key)),
      bytes(bundle.signed.signature),
      signal.PublicKey.deserialize(bytes(bundle.identity)),
      bundle.kem.id,
      signal.KEMPublicKey.deserialize(bytes(bundle.kem.key)),
      bytes(bundle.kem.signature)
    );
    await signal.processPreKeyBundle(made, address(peer), local(), sessions, identities);
    return {};
  },

  async encrypt({ peer, plaintext }) {
    const message = await signal.signalEncrypt(bytes(plaintext), address(peer), local(), sessions, identities);
    return { prekey: message.type() === signal.CiphertextMessageType.PreKey, message: hex(message.serialize()) };
  },

  async decrypt({ peer, prekey, message }) {
    const plaintext = prekey
      ? await signal.signalDecryptPreKey(
          signal.PreKeySignalMessage.deserialize(bytes(message)),
          address(peer),
          local(),
          sessions,
          identities,
          preKeys,
          signedPreKeys,
          kemPreKeys
        )
      : await signal.signalDecrypt(
          signal.SignalMessage.deserialize(bytes(message)),
          address(peer),
          local(),
          sessions,
          identities
        );
    return { plaintext: hex(plaintext) };
  },

  /** What a disk would hold. */
  async export() {
    return { stores };
  },

  /** A restart from what a disk held. */
  async import(request) {
    stores = request.stores;
    return {};
  },

  /** The session with a peer as it is stored, to see whether it changed. */
  async session({ peer }) {
    return { record: stores.sessions[key(address(peer))] ?? null };
  },

  /** Puts the active session with a peer into the archive. */
  async archive({ peer }) {
    return { archived: await withSession(peer, (record) => record.archiveCurrentState()) };
  },

  /** Forgets every session with a peer. */
  async delete({ peer }) {
    delete stores.sessions[key(address(peer))];
    return {};
  },

  /** Safety number and scannable code. */
  async fingerprint({ iterations, version, localId, localKey, remoteId, remoteKey }) {
    const fingerprint = signal.Fingerprint.new(
      iterations,
      version,
      bytes(localId),
      signal.PublicKey.deserialize(bytes(localKey)),
      bytes(remoteId),
      signal.PublicKey.deserialize(bytes(remoteKey))
    );
    return {
      displayable: fingerprint.displayableFingerprint().toString(),
      scannable: hex(fingerprint.scannableFingerprint().toBuffer()),
    };
  },

  /** Whether libsignal takes `scanned`, a code of the other side, for the counterpart of `own`. */
  async compare({ own, scanned }) {
    const [mine, theirs] = [own, scanned].map((code) => signal.ScannableFingerprint._fromBuffer(bytes(code)));
    return { equal: mine.compare(theirs) };
  },
};

for await (const line of createInterface({ input: stdin, crlfDelay: Infinity })) {
  const { op, ...request } = JSON.parse(line);
  let answer;
  try {
    answer = { ok: true, ...(await operations[op](request)) };
  } catch (error) {
    answer = { ok: false, name: error.name ?? 'Error', message: String(error.message) };
  }
  stdout.write(`${JSON.stringify(answer)}\n`);
}
