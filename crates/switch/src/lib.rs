//! The switch role: registrar, routing, limits, calls and defence in one machine.
