//! Records, live state and the CDR journal.
