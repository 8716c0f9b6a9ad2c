CREATE TABLE sip_capture (
    date, micro_ts, method, reply_reason, ruri, ruri_user, ruri_domain, from_user, from_domain,
    from_tag, to_user, to_domain, to_tag, pid_user, contact_user, auth_user, callid, callid_aleg,
    via_1, via_1_branch, cseq, diversion, reason, content_type, auth, user_agent, source_ip,
    source_port, destination_ip, destination_port, contact_ip, contact_port, originator_ip,
    originator_port, correlation_id, proto, family, rtp_stat, type, node, msg, custom_field1,
    custom_field2, custom_field3);
CREATE TABLE rtcp_capture (
    date, micro_ts, correlation_id, source_ip, source_port, destination_ip, destination_port,
    proto, family, type, node, msg);
CREATE TABLE report_capture (
    date, micro_ts, correlation_id, source_ip, source_port, destination_ip, destination_port,
    proto, family, type, node, msg);
