//! Session descriptions, edited in place, and offer/answer.
