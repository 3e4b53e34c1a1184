//! Stand-ins in worlds.
