/** Names of the triggers below, for the copy that must hold no keys. */
export const KEY_TRIGGER_NAMES = [
  'key_pinned_stays',
  'key_open_stays',
  'key_pinned_stays_open',
  'key_secret_never_changes',
] as const;

/** The database's own refusals around keys; a restore puts them back before anything is served. */
export const KEY_TRIGGERS = `
  CREATE TRIGGER key_pinned_stays BEFORE DELETE ON message_key
    WHEN EXISTS (SELECT 1 FROM pin WHERE no = OLD.no) BEGIN SELECT RAISE(ABORT, 'key-pinned'); END;
  CREATE TRIGGER key_open_stays BEFORE DELETE ON message_key
    WHEN OLD.closed = 0 BEGIN SELECT RAISE(ABORT, 'key-open'); END;
  CREATE TRIGGER key_pinned_stays_open BEFORE UPDATE OF closed ON message_key
    WHEN NEW.closed = 1 AND EXISTS (SELECT 1 FROM pin WHERE no = OLD.no) BEGIN SELECT RAISE(ABORT, 'key-pinned'); END;
  CREATE TRIGGER key_secret_never_changes BEFORE UPDATE OF secret, no ON message_key BEGIN SELECT RAISE(ABORT, 'key-never-changes'); END;
`;
