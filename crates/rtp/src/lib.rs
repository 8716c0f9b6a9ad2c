//! RTP and RTCP, DTMF events, reception statistics and MOS.
