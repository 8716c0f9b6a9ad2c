-- Lists that look for a rare value among millions of records find it by these. Names are as long as
-- peers make them, and an entry of an index is not.
CREATE INDEX cdr_by_account ON cdr (account, end_us, call);
CREATE INDEX cdr_by_from_user ON cdr (from_user, end_us, call);
CREATE INDEX cdr_by_to_user ON cdr (to_user, end_us, call);
CREATE INDEX cdr_by_customer ON cdr (customer, end_us, call);
CREATE INDEX cdr_by_carrier ON cdr (carrier, end_us, call);
CREATE INDEX cdr_by_caller ON cdr (substr(caller, 1, 64), end_us, call);
CREATE INDEX cdr_by_called ON cdr (substr(called, 1, 64), end_us, call);
CREATE INDEX cdr_by_outcome ON cdr (outcome, end_us, call);
