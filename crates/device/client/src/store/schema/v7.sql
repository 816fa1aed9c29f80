-- Version 7: the store counts its commits.

-- 'commits': one more with every transaction that wrote. The same number stands outside, in `store.turn`; a store that counts less than
-- that file has lost commits, and another process sees by it that there is something new.
INSERT INTO meta (name, value) VALUES ('commits', 0);
