"""Backups and the end of an account."""

from rcseal import BackupSecret, OutgoingMessage, Platform, RcsealClient, generate_backup_secret, inspect_backup
from world import in_a_world, received, refused


@in_a_world
async def test_a_lost_phone_comes_back_with_contacts_and_history_as_a_new_device(world):
    ada, bob, to_bob, to_ada = await world.acquainted()
    await to_bob.send_text("before the loss")
    await received(to_ada, "before the loss")
    file, secret, told = str(world.folder / "ada.backup"), BackupSecret.written(generate_backup_secret()), []
    summary = await ada.client.create_backup(file, secret, lambda done, total: told.append((done, total)))
    assert summary.has_account_key
    assert told and [done for done, _ in told] == sorted(done for done, _ in told)
    assert (await inspect_backup(file)).is_generated
    account = (await ada.client.account()).account_id
    await ada.client.close()
    phone = (await world.opened("new phone")).client
    outcome = await phone.restore_backup(file, secret, Platform.SERVER)
    assert (outcome.is_new_device, outcome.account_id) == (True, account)
    again = await phone.conversation(to_bob.contact_id)
    assert "before the loss" in [message.text for message in await again.messages(10)]
    await phone.connect()
    await again.send_text("on a new phone")
    await received(to_ada, "on a new phone")


@in_a_world
async def test_a_wrong_secret_a_cut_file_and_a_changed_file_have_codes_of_their_own(world):
    ada = (await world.person("Ada")).client
    file, secret = world.folder / "ada.backup", BackupSecret.passphrase("correct horse battery staple")
    assert not (await ada.create_backup(str(file), secret)).has_account_key
    blank = (await world.person("Other")).client

    async def code(tried=secret):
        error = await refused(blank.restore_backup(str(file), tried, Platform.SERVER))
        assert error.kind == "backup"
        return error.code

    assert await code(BackupSecret.passphrase("an entirely wrong one")) == "backup_wrong_secret"
    whole = file.read_bytes()
    file.write_bytes(whole[:-1])
    assert await code() == "backup_truncated"
    file.write_bytes(whole[:-20] + bytes([whole[-20] ^ 1]) + whole[-19:])
    assert await code() == "backup_tampered"
    file.write_text("holiday pictures")
    assert await code() == "backup_not_a_backup"
    assert (await refused(inspect_backup(str(file)))).kind == "backup"
    assert (await refused(ada.create_backup(str(file), BackupSecret.passphrase("short")))).code == "backup_weak_passphrase"


@in_a_world
async def test_an_account_that_is_deleted_is_gone_here_and_there(world):
    person = await world.person("Ada")
    await person.client.delete_account()
    assert (await refused(person.client.account())).code == "closed"
    async with await RcsealClient.open(person.config, person.vault) as again:
        assert await again.account() is None


def test_secrets_and_words_say_nothing_of_themselves():
    secret = generate_backup_secret()
    shown = [str(BackupSecret.written(secret)), str(BackupSecret.passphrase("correct horse")), str(OutgoingMessage.text("hello"))]
    assert shown == ["BackupSecret(written)", "BackupSecret(passphrase)", "OutgoingMessage(text)"]
