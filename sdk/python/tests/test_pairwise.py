"""The crypto-only level: two clients over stores of the app's own, and the app's transport is a variable."""

import pytest

from rcseal import ClosedError, CryptoStoreError, CryptoStoreFailure, PairwiseClient, RcsealError, SendError, StoreError
from world import TestVault, facts


class MemoryStore:
    """The smallest store that keeps its promise in one process."""

    def __init__(self):
        self.fault = lambda: None
        self._rows = {}

    def get(self, key):
        return self._rows.get(key)

    def commit(self, expected_head, writes):
        self.fault()
        if self._rows.get(b"head") != expected_head:
            raise CryptoStoreError(CryptoStoreFailure.CONFLICT)
        for write in writes:
            if write.value is None:
                self._rows.pop(write.key, None)
            else:
                self._rows[write.key] = write.value


def client(store=None):
    return PairwiseClient.open(store or MemoryStore(), TestVault())


def raises(failure):
    def fault():
        raise failure

    return fault


def test_bytes_go_both_ways_over_the_apps_own_transport():
    with client() as ada, client() as bob:
        assert ada.identity() != bob.identity() and not ada.was_rolled_back()
        to_bob = ada.get_or_create_session("bob", bob.local_bundle())
        data = bytes(range(256)) * 4
        assert bob.decrypt("ada", to_bob.encrypt(data)) == data
        to_ada = bob.get_or_create_session("ada")
        assert to_bob.decrypt(to_ada.encrypt(data)) == data
        one, other = to_bob.safety_number(), to_ada.safety_number()
        assert one.numeric == other.numeric
        assert not to_bob.is_verified()
        one.verify(other.qr_payload)
        assert to_bob.is_verified()


def test_a_message_is_decrypted_once_and_a_changed_one_never():
    ada, bob = client(), client()
    message = ada.get_or_create_session("bob", bob.local_bundle()).encrypt(b"hello")
    changed = message[:-1] + bytes([message[-1] ^ 1])
    with pytest.raises(RcsealError):
        bob.decrypt("ada", changed)
    assert bob.decrypt("ada", message) == b"hello"
    with pytest.raises(RcsealError) as caught:
        bob.decrypt("ada", message)
    assert not caught.value.retryable


def test_prekeys_are_replenished_and_without_a_bundle_there_is_no_session():
    with client() as ada, client() as bob:
        bundles = bob.replenish_prekeys(0)
        assert bundles.one_time
        session = ada.get_or_create_session("bob", bundles.one_time[0])
        assert bob.decrypt("ada", session.encrypt(b"hello")) == b"hello"
        ada.forget_peer("bob")
        with pytest.raises(SendError) as caught:
            ada.get_or_create_session("bob")
        assert caught.value.code == "pairwise.bundle_needed"


def test_a_store_that_raises_is_an_error_of_the_store_and_nothing_was_encrypted():
    store = MemoryStore()
    ada, bob = client(store), client()
    session = ada.get_or_create_session("bob", bob.local_bundle())
    store.fault = raises(RuntimeError("the secret is 12345"))
    with pytest.raises(StoreError) as caught:
        session.encrypt(b"x")
    assert "12345" not in str(caught.value)
    store.fault = raises(CryptoStoreError(CryptoStoreFailure.BUSY))
    with pytest.raises(StoreError) as caught:
        session.encrypt(b"x")
    assert caught.value.retryable
    store.fault = raises(CryptoStoreError(CryptoStoreFailure.FULL))
    with pytest.raises(StoreError) as caught:
        session.encrypt(b"x")
    assert not caught.value.retryable
    store.fault = lambda: None
    assert bob.decrypt("ada", session.encrypt(b"x")) == b"x"


def test_after_the_close_every_call_says_closed():
    ada = client()
    ada.close()
    with pytest.raises(ClosedError) as caught:
        ada.local_bundle()
    assert facts(caught.value) == ["closed", "closed", False]
