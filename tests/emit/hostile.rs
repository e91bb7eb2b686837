//! Hostile values: each output holds exactly one entry with exactly that value, or there is a diagnostic.
