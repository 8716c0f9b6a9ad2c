// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
//
// Relays plain RTP before the network stack sees it, as XDP or at the ingress of tc: over IPv4,
// over IPv6, and from either to the other.
//
// A packet is relayed here only if it is exactly what its flow expects: from the pinned source,
// to the port of a flow, RTP version 2 with a negotiated payload type, of the SSRC that user
// space saw, within the sequence. Whatever else comes goes up the stack to the socket and is
// judged there. So nothing is dropped here, and no rule of the relay exists twice.
//
// `struct key`, `struct key6`, `struct flow` and `struct slot` are mirrored by src/sys/bpf.rs.

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <linux/udp.h>

#define SEC(name) __attribute__((section(name), used))
#define inline_always inline __attribute__((always_inline))
#define uint(name, value) int(*name)[value]

// Helper functions of the kernel, by number: see enum bpf_func_id.
static void *(*bpf_map_lookup_elem)(void *map, const void *key) = (void *)1;
static __u64 (*bpf_ktime_get_ns)(void) = (void *)5;
static long (*bpf_l4_csum_replace)(struct __sk_buff *skb, __u32 offset, __u64 from, __u64 to,
                                   __u64 flags) = (void *)11;
static long (*bpf_redirect)(__u32 interface, __u64 flags) = (void *)23;
static long (*bpf_skb_change_proto)(struct __sk_buff *skb, __be16 proto,
                                    __u64 flags) = (void *)31;
static long (*bpf_xdp_adjust_head)(struct xdp_md *context, int delta) = (void *)44;
static long (*bpf_fib_lookup)(void *context, struct bpf_fib_lookup *params, int size,
                              __u32 flags) = (void *)69;

// Whose packet, and to which port of ours.
struct key {
    __be32 local_ip;
    __be32 peer_ip;
    __be16 local_port;
    __be16 peer_port;
};

// The same over IPv6.
struct key6 {
    __be32 local_ip[4];
    __be32 peer_ip[4];
    __be16 local_port;
    __be16 peer_port;
};

// What becomes of it. The way, from `found_ns` to `from`, is written here alone.
struct flow {
    // Payload types, a bit each: relayed; with timestamps of the flow's clock; telephone events.
    __u64 relayed[2];
    __u64 timed[2];
    __u64 events[2];
    // Of IPv4 the first word.
    __be32 source_ip[4];
    __be32 destination_ip[4];
    __be16 source_port;
    __be16 destination_port;
    // Of the statistics of this flow, and of the flow in the other direction.
    __u32 slot;
    __u32 opposite_slot;
    // Ticks of the clock in 2^30 ns.
    __u32 clock;
    // When the way below was found; 0 if never.
    __u64 found_ns;
    __u32 interface;
    __u32 mtu;
    __u8 to[ETH_ALEN];
    __u8 from[ETH_ALEN];
    // Of the addresses above.
    __u32 family;
};

// Statistics of what came from one peer, and the way it came by.
struct slot {
    __u64 packets;
    __u64 bytes;
    __u64 events;
    // When the last packet came, by the monotonic clock.
    __u64 heard_ns;
    __u32 ssrc;
    // The highest sequence number, with its wraps above the lower 16 bits.
    __u32 highest;
    // Arrival less timestamp of the last packet in ticks, if `has_transit`.
    __u32 transit;
    __u32 has_transit;
    // RFC 3550 §A.8, times 16.
    __u32 jitter_q4;
    __u32 payload_type;
    __u32 came_by;
    __u8 came_from[ETH_ALEN];
    __u8 came_to[ETH_ALEN];
    // Of the packet with the highest number.
    __u32 timestamp;
    __u32 unused[13];
};

struct {
    uint(type, BPF_MAP_TYPE_HASH);
    __typeof__(struct key) *key;
    __typeof__(struct flow) *value;
    uint(max_entries, 65536);
    uint(map_flags, BPF_F_NO_PREALLOC);
} flows SEC(".maps");

struct {
    uint(type, BPF_MAP_TYPE_HASH);
    __typeof__(struct key6) *key;
    __typeof__(struct flow) *value;
    uint(max_entries, 65536);
    uint(map_flags, BPF_F_NO_PREALLOC);
} flows6 SEC(".maps");

struct {
    uint(type, BPF_MAP_TYPE_ARRAY);
    __typeof__(__u32) *key;
    __typeof__(struct slot) *value;
    uint(max_entries, 65536);
    uint(map_flags, BPF_F_MMAPABLE);
} slots SEC(".maps");

// The interfaces that the XDP program is attached to: only such are sure to transmit.
struct {
    uint(type, BPF_MAP_TYPE_HASH);
    __typeof__(__u32) *key;
    __typeof__(__u32) *value;
    uint(max_entries, 64);
} attached SEC(".maps");

struct rtp {
    __u8 first;
    __u8 second;
    __be16 sequence;
    __be32 timestamp;
    __be32 ssrc;
};

// What follows the Ethernet header.
struct packet {
    struct iphdr ip;
    struct udphdr udp;
    struct rtp rtp;
};

struct packet6 {
    struct ipv6hdr ip;
    struct udphdr udp;
    struct rtp rtp;
};

// What the rest needs to know of a packet of either kind.
struct arrival {
    void *context;
    const struct ethhdr *ethernet;
    const struct rtp *rtp;
    __u64 now_ns;
    __u32 interface;
    __u32 family;
    // Of the IP packet, and of what UDP carries.
    __u32 ip_bytes;
    __u32 bytes;
    int is_xdp;
};

// How long a way is believed: a change of routes or neighbours takes effect after that.
#define WAY_NS 1000000000ULL
// For ways that name no MTU.
#define USUAL_MTU 1500
// As in `rtp::Reception`: a larger gap, or a packet further behind, is a matter for user space.
#define MAX_DROPOUT 3000
#define MAX_MISORDER 100
#define TTL 64
#define AF_INET 2
#define AF_INET6 10

static inline_always __u16 swap16(__u16 x) { return __builtin_bswap16(x); }
static inline_always __u32 swap32(__u32 x) { return __builtin_bswap32(x); }

static inline_always int has(const __u64 *set, __u8 payload_type)
{
    __u64 half = payload_type & 64 ? set[1] : set[0];
    return half >> (payload_type & 63) & 1;
}

// RFC 1071, of less than 2^16 words.
static inline_always __u16 fold(__u32 sum)
{
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return sum;
}

static inline_always __u32 halves(__u32 x) { return (x & 0xffff) + (x >> 16); }

// RFC 5761 §4 tells RTCP on the same port from it.
static inline_always int is_rtp(const struct rtp *rtp)
{
    return rtp->first >> 6 == 2 && !(rtp->second >= 192 && rtp->second <= 223);
}

// Whether the frame is a whole UDP datagram that holds RTP: no options, no fragment.
static inline_always int fits(const struct packet *p, __u32 frame_bytes)
{
    __u32 ip_bytes = swap16(p->ip.tot_len);

    return p->ip.version == 4 && p->ip.ihl == 5 && p->ip.protocol == IPPROTO_UDP &&
           !(p->ip.frag_off & swap16(0x3fff)) && ip_bytes >= sizeof(*p) &&
           ip_bytes + ETH_HLEN <= frame_bytes &&
           swap16(p->udp.len) + sizeof(p->ip) == ip_bytes && is_rtp(&p->rtp);
}

// The same: no extension header, and a checksum, which IPv6 demands.
static inline_always int fits6(const struct packet6 *p, __u32 frame_bytes)
{
    __u32 udp_bytes = swap16(p->ip.payload_len);

    return p->ip.version == 6 && p->ip.nexthdr == IPPROTO_UDP &&
           udp_bytes >= sizeof(p->udp) + sizeof(p->rtp) &&
           udp_bytes + sizeof(p->ip) + ETH_HLEN <= frame_bytes &&
           swap16(p->udp.len) == udp_bytes && p->udp.check && is_rtp(&p->rtp);
}

// Counts a packet as `rtp::Reception` does; 0 if that is a matter for user space.
static inline_always int count(struct slot *slot, const struct flow *flow,
                               const struct arrival *arrival)
{
    const struct rtp *rtp = arrival->rtp;
    __u8 payload_type = rtp->second & 0x7f;
    __u32 highest = slot->highest;
    __u16 ahead = swap16(rtp->sequence) - (__u16)highest;

    if (rtp->ssrc != slot->ssrc)
        return 0;
    if (ahead < MAX_DROPOUT) {
        slot->highest = highest + ahead;
        slot->timestamp = swap32(rtp->timestamp);
    } else if (ahead <= 65535 - MAX_MISORDER)
        return 0;

    if (has(flow->timed, payload_type)) {
        // The low 32 bits are right even where the product has wrapped.
        __u32 came = (arrival->now_ns >> 10) * flow->clock >> 20;
        __u32 transit = came - swap32(rtp->timestamp);
        if (slot->has_transit) {
            __s32 step = transit - slot->transit;
            __u32 d = step < 0 ? -step : step;
            // A step of about a second is a new timestamp base, not jitter.
            if (d < flow->clock) {
                __u32 jitter_q4 = slot->jitter_q4 + d;
                slot->jitter_q4 = jitter_q4 - ((jitter_q4 - d + 8) >> 4);
            }
        }
        slot->transit = transit;
        slot->has_transit = 1;
    }
    if (has(flow->events, payload_type))
        __sync_fetch_and_add(&slot->events, 1);
    else
        slot->payload_type = payload_type;
    slot->heard_ns = arrival->now_ns;
    __sync_fetch_and_add(&slot->packets, 1);
    __sync_fetch_and_add(&slot->bytes, arrival->bytes);
    return 1;
}

// The length of the IP packet that leaves.
static inline_always __u32 leaving_bytes(const struct flow *flow, const struct arrival *arrival)
{
    const __u32 longer = sizeof(struct ipv6hdr) - sizeof(struct iphdr);

    if (flow->family == arrival->family)
        return arrival->ip_bytes;
    if (flow->family == AF_INET6)
        return arrival->ip_bytes + longer;
    return arrival->ip_bytes - longer;
}

// Finds the way to the flow's destination; 0 if user space has to send.
static inline_always int find_way(struct flow *flow, struct slot *slot,
                                  const struct arrival *arrival)
{
    struct bpf_fib_lookup fib = {};
    long result;

    slot->came_by = arrival->interface;
    __builtin_memcpy(slot->came_from, arrival->ethernet->h_source, ETH_ALEN);
    __builtin_memcpy(slot->came_to, arrival->ethernet->h_dest, ETH_ALEN);

    fib.family = flow->family;
    fib.l4_protocol = IPPROTO_UDP;
    fib.sport = flow->source_port;
    fib.dport = flow->destination_port;
    fib.tot_len = leaving_bytes(flow, arrival);
    // The first word of either is that of IPv4.
    __builtin_memcpy(fib.ipv6_src, flow->source_ip, sizeof(fib.ipv6_src));
    __builtin_memcpy(fib.ipv6_dst, flow->destination_ip, sizeof(fib.ipv6_dst));
    fib.ifindex = arrival->interface;
    result = bpf_fib_lookup(arrival->context, &fib, sizeof(fib), 0);
    if (result == BPF_FIB_LKUP_RET_SUCCESS) {
        flow->interface = fib.ifindex;
        flow->mtu = fib.mtu_result;
        __builtin_memcpy(flow->to, fib.dmac, ETH_ALEN);
        __builtin_memcpy(flow->from, fib.smac, ETH_ALEN);
    } else if (result == BPF_FIB_LKUP_RET_FWD_DISABLED) {
        // The kernel tells a host that does not forward no routes: back to where the packets
        // of the other side come from.
        __u32 index = flow->opposite_slot;
        struct slot *opposite = bpf_map_lookup_elem(&slots, &index);
        if (!opposite || !opposite->came_by)
            return 0;
        flow->interface = opposite->came_by;
        flow->mtu = USUAL_MTU;
        __builtin_memcpy(flow->to, opposite->came_from, ETH_ALEN);
        __builtin_memcpy(flow->from, opposite->came_to, ETH_ALEN);
    } else {
        return 0;
    }
    flow->found_ns = arrival->now_ns;
    return 1;
}

// Whether a packet of a flow is to be relayed here: its way is found then, and it is counted.
static inline_always int admit(struct flow *flow, struct arrival *arrival)
{
    __u32 index;
    struct slot *slot;

    if (!has(flow->relayed, arrival->rtp->second & 0x7f))
        return 0;
    index = flow->slot;
    slot = bpf_map_lookup_elem(&slots, &index);
    if (!slot)
        return 0;
    arrival->now_ns = bpf_ktime_get_ns();
    if (!flow->found_ns || arrival->now_ns - flow->found_ns > WAY_NS) {
        if (!find_way(flow, slot, arrival))
            return 0;
    }
    if (leaving_bytes(flow, arrival) > flow->mtu)
        return 0;
    if (arrival->is_xdp && flow->interface != arrival->interface) {
        index = flow->interface;
        if (!bpf_map_lookup_elem(&attached, &index))
            return 0;
    }
    return count(slot, flow, arrival);
}

static inline_always struct flow *flow_of(const struct packet *p, struct arrival *arrival,
                                          __u32 frame_bytes)
{
    struct key key = {};
    struct flow *flow;

    if (!fits(p, frame_bytes))
        return 0;
    key.local_ip = p->ip.daddr;
    key.peer_ip = p->ip.saddr;
    key.local_port = p->udp.dest;
    key.peer_port = p->udp.source;
    flow = bpf_map_lookup_elem(&flows, &key);
    if (!flow)
        return 0;
    // IPv6 wants a checksum, which takes all of the packet to make.
    if (flow->family == AF_INET6 && !p->udp.check)
        return 0;
    arrival->ethernet = (const struct ethhdr *)p - 1;
    arrival->rtp = &p->rtp;
    arrival->family = AF_INET;
    arrival->ip_bytes = swap16(p->ip.tot_len);
    arrival->bytes = swap16(p->udp.len) - sizeof(p->udp);
    return admit(flow, arrival) ? flow : 0;
}

static inline_always struct flow *flow_of6(const struct packet6 *p, struct arrival *arrival,
                                           __u32 frame_bytes)
{
    struct key6 key = {};
    struct flow *flow;

    if (!fits6(p, frame_bytes))
        return 0;
    __builtin_memcpy(key.local_ip, &p->ip.daddr, sizeof(key.local_ip));
    __builtin_memcpy(key.peer_ip, &p->ip.saddr, sizeof(key.peer_ip));
    key.local_port = p->udp.dest;
    key.peer_port = p->udp.source;
    flow = bpf_map_lookup_elem(&flows6, &key);
    if (!flow)
        return 0;
    arrival->ethernet = (const struct ethhdr *)p - 1;
    arrival->rtp = &p->rtp;
    arrival->family = AF_INET6;
    arrival->ip_bytes = swap16(p->ip.payload_len) + sizeof(p->ip);
    arrival->bytes = swap16(p->udp.len) - sizeof(p->udp);
    return admit(flow, arrival) ? flow : 0;
}

// The flow's addresses in a checksum; what IPv4 leaves of them is 0. The rest of the header that
// UDP's checksum covers is the same in either family: the length and the protocol.
static inline_always __u32 addresses(const struct flow *flow)
{
    __u32 sum = 0;

#pragma unroll
    for (int i = 0; i < 4; i++)
        sum += halves(flow->source_ip[i]) + halves(flow->destination_ip[i]);
    return sum;
}

// By how much the addresses differ in a checksum.
static inline_always __u32 address_difference(const struct packet *p, const struct flow *flow)
{
    return halves(~p->ip.saddr) + halves(~p->ip.daddr) + addresses(flow);
}

static inline_always __u32 address_difference6(const struct packet6 *p, const struct flow *flow)
{
    const __be32 *from = p->ip.saddr.in6_u.u6_addr32;
    const __be32 *to = p->ip.daddr.in6_u.u6_addr32;
    __u32 sum = addresses(flow);

#pragma unroll
    for (int i = 0; i < 4; i++)
        sum += halves(~from[i]) + halves(~to[i]);
    return sum;
}

static inline_always __u32 port_difference(const struct udphdr *udp, const struct flow *flow)
{
    return (__u16)~udp->source + (__u16)~udp->dest + flow->source_port + flow->destination_port;
}

// A checksum that differs by so much; never 0, which says that there is none.
static inline_always __u16 changed(__u16 check, __u32 difference)
{
    check = ~fold((__u16)~check + difference);
    return check ? check : 0xffff;
}

static inline_always void rewrite_ethernet(struct ethhdr *ethernet, const struct flow *flow)
{
    __builtin_memcpy(ethernet->h_dest, flow->to, ETH_ALEN);
    __builtin_memcpy(ethernet->h_source, flow->from, ETH_ALEN);
}

// Makes the packet one that we send: everything but the checksum of UDP.
static inline_always void rewrite(struct packet *p, const struct flow *flow)
{
    __u32 sum;

    rewrite_ethernet((struct ethhdr *)p - 1, flow);
    p->ip.tos = 0;
    p->ip.id = 0;
    p->ip.frag_off = swap16(0x4000);
    p->ip.ttl = TTL;
    p->ip.saddr = flow->source_ip[0];
    p->ip.daddr = flow->destination_ip[0];
    sum = swap16(0x4500) + p->ip.tot_len + p->ip.frag_off + swap16(TTL << 8 | IPPROTO_UDP) +
          halves(flow->source_ip[0]) + halves(flow->destination_ip[0]);
    p->ip.check = ~fold(sum);
    p->udp.source = flow->source_port;
    p->udp.dest = flow->destination_port;
}

// The same, with no traffic class and no flow label.
static inline_always void rewrite6(struct packet6 *p, const struct flow *flow)
{
    rewrite_ethernet((struct ethhdr *)p - 1, flow);
    *(__be32 *)&p->ip = swap32(6U << 28);
    p->ip.hop_limit = TTL;
    __builtin_memcpy(&p->ip.saddr, flow->source_ip, sizeof(p->ip.saddr));
    __builtin_memcpy(&p->ip.daddr, flow->destination_ip, sizeof(p->ip.daddr));
    p->udp.source = flow->source_port;
    p->udp.dest = flow->destination_port;
}

// Makes the room before UDP a whole header of IPv4.
static inline_always void build(struct packet *p, const struct flow *flow)
{
    struct ethhdr *ethernet = (struct ethhdr *)p - 1;

    ethernet->h_proto = swap16(ETH_P_IP);
    *(__u8 *)&p->ip = 0x45;
    p->ip.tot_len = swap16(swap16(p->udp.len) + sizeof(p->ip));
    p->ip.protocol = IPPROTO_UDP;
    rewrite(p, flow);
}

// The same of IPv6.
static inline_always void build6(struct packet6 *p, const struct flow *flow)
{
    struct ethhdr *ethernet = (struct ethhdr *)p - 1;

    ethernet->h_proto = swap16(ETH_P_IPV6);
    p->ip.payload_len = p->udp.len;
    p->ip.nexthdr = IPPROTO_UDP;
    rewrite6(p, flow);
}

static inline_always struct flow *xdp4(struct xdp_md *context, struct arrival *arrival)
{
    struct packet *p = (void *)(long)context->data + ETH_HLEN;
    struct packet6 *longer;
    struct flow *flow;
    __u16 check;

    if ((void *)(p + 1) > (void *)(long)context->data_end)
        return 0;
    flow = flow_of(p, arrival, context->data_end - context->data);
    if (!flow)
        return 0;
    check = p->udp.check;
    if (check)
        check = changed(check, address_difference(p, flow) + port_difference(&p->udp, flow));
    if (flow->family == AF_INET) {
        p->udp.check = check;
        rewrite(p, flow);
        return flow;
    }
    if (bpf_xdp_adjust_head(context, -(int)(sizeof(longer->ip) - sizeof(p->ip))))
        return 0;
    longer = (void *)(long)context->data + ETH_HLEN;
    if ((void *)(longer + 1) > (void *)(long)context->data_end)
        return 0;
    longer->udp.check = check;
    build6(longer, flow);
    return flow;
}

static inline_always struct flow *xdp6(struct xdp_md *context, struct arrival *arrival)
{
    struct packet6 *p = (void *)(long)context->data + ETH_HLEN;
    struct packet *shorter;
    struct flow *flow;
    __u16 check;

    if ((void *)(p + 1) > (void *)(long)context->data_end)
        return 0;
    flow = flow_of6(p, arrival, context->data_end - context->data);
    if (!flow)
        return 0;
    check = changed(p->udp.check, address_difference6(p, flow) + port_difference(&p->udp, flow));
    if (flow->family == AF_INET6) {
        p->udp.check = check;
        rewrite6(p, flow);
        return flow;
    }
    if (bpf_xdp_adjust_head(context, sizeof(p->ip) - sizeof(shorter->ip)))
        return 0;
    shorter = (void *)(long)context->data + ETH_HLEN;
    if ((void *)(shorter + 1) > (void *)(long)context->data_end)
        return 0;
    shorter->udp.check = check;
    build(shorter, flow);
    return flow;
}

SEC("xdp")
int relay_xdp(struct xdp_md *context)
{
    struct ethhdr *ethernet = (void *)(long)context->data;
    struct arrival arrival = {};
    struct flow *flow = 0;

    if ((void *)(ethernet + 1) > (void *)(long)context->data_end)
        return XDP_PASS;
    arrival.context = context;
    arrival.interface = context->ingress_ifindex;
    arrival.is_xdp = 1;
    if (ethernet->h_proto == swap16(ETH_P_IP))
        flow = xdp4(context, &arrival);
    else if (ethernet->h_proto == swap16(ETH_P_IPV6))
        flow = xdp6(context, &arrival);
    if (!flow)
        return XDP_PASS;
    if (flow->interface == context->ingress_ifindex)
        return XDP_TX;
    return bpf_redirect(flow->interface, 0);
}

// By the helper, for the checksum may be one that a device is to complete.
static inline_always void change_checksum(struct __sk_buff *context, __u32 offset,
                                          __u32 addresses, __u32 ports)
{
    bpf_l4_csum_replace(context, offset, 0, addresses, BPF_F_PSEUDO_HDR | BPF_F_MARK_MANGLED_0);
    bpf_l4_csum_replace(context, offset, 0, ports, BPF_F_MARK_MANGLED_0);
}

// Sends the packet on with a header of the flow's family, which it has room for or already has.
static inline_always int send4(struct __sk_buff *context, const struct flow *flow)
{
    struct packet *p = (void *)(long)context->data + ETH_HLEN;

    if ((void *)(p + 1) > (void *)(long)context->data_end)
        return TC_ACT_SHOT;
    build(p, flow);
    return bpf_redirect(flow->interface, 0);
}

static inline_always int send6(struct __sk_buff *context, const struct flow *flow)
{
    struct packet6 *p = (void *)(long)context->data + ETH_HLEN;

    if ((void *)(p + 1) > (void *)(long)context->data_end)
        return TC_ACT_SHOT;
    build6(p, flow);
    return bpf_redirect(flow->interface, 0);
}

static inline_always int tc4(struct __sk_buff *context, struct arrival *arrival)
{
    struct packet *p = (void *)(long)context->data + ETH_HLEN;
    struct flow *flow;

    if ((void *)(p + 1) > (void *)(long)context->data_end)
        return TC_ACT_UNSPEC;
    flow = flow_of(p, arrival, context->len);
    if (!flow)
        return TC_ACT_UNSPEC;
    change_checksum(context, ETH_HLEN + __builtin_offsetof(struct packet, udp.check),
                    address_difference(p, flow), port_difference(&p->udp, flow));
    if (flow->family == AF_INET)
        return send4(context, flow);
    if (bpf_skb_change_proto(context, swap16(ETH_P_IPV6), 0))
        return TC_ACT_SHOT;
    return send6(context, flow);
}

static inline_always int tc6(struct __sk_buff *context, struct arrival *arrival)
{
    struct packet6 *p = (void *)(long)context->data + ETH_HLEN;
    struct flow *flow;

    if ((void *)(p + 1) > (void *)(long)context->data_end)
        return TC_ACT_UNSPEC;
    flow = flow_of6(p, arrival, context->len);
    if (!flow)
        return TC_ACT_UNSPEC;
    change_checksum(context, ETH_HLEN + __builtin_offsetof(struct packet6, udp.check),
                    address_difference6(p, flow), port_difference(&p->udp, flow));
    if (flow->family == AF_INET6)
        return send6(context, flow);
    if (bpf_skb_change_proto(context, swap16(ETH_P_IP), 0))
        return TC_ACT_SHOT;
    return send4(context, flow);
}

SEC("classifier")
int relay_tc(struct __sk_buff *context)
{
    struct arrival arrival = {};

    // Several datagrams in one, or a frame of a VLAN, are not what the flow is about.
    if (context->gso_size || context->vlan_present)
        return TC_ACT_UNSPEC;
    arrival.context = context;
    arrival.interface = context->ingress_ifindex;
    if (context->protocol == swap16(ETH_P_IP))
        return tc4(context, &arrival);
    if (context->protocol == swap16(ETH_P_IPV6))
        return tc6(context, &arrival);
    return TC_ACT_UNSPEC;
}

// bpf_fib_lookup is offered to programs under the GPL only.
char LICENSE[] SEC("license") = "GPL";
