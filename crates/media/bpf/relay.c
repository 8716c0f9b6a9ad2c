// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
//
// Relays plain RTP over IPv4 before the network stack sees it: as XDP, or at the ingress of tc.
//
// A packet is relayed here only if it is exactly what its flow expects: from the pinned source,
// to the port of a flow, RTP version 2 with a negotiated payload type, of the SSRC that user
// space saw, within the sequence. Whatever else comes goes up the stack to the socket and is
// judged there. So nothing is dropped here, and no rule of the relay exists twice.
//
// `struct key`, `struct flow` and `struct slot` are mirrored by src/sys/bpf.rs.

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
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
static long (*bpf_fib_lookup)(void *context, struct bpf_fib_lookup *params, int size,
                              __u32 flags) = (void *)69;

// Whose packet, and to which port of ours.
struct key {
    __be32 local_ip;
    __be32 peer_ip;
    __be16 local_port;
    __be16 peer_port;
};

// What becomes of it. The part below `found_ns` is written here alone.
struct flow {
    // Payload types, a bit each: relayed; with timestamps of the flow's clock; telephone events.
    __u64 relayed[2];
    __u64 timed[2];
    __u64 events[2];
    __be32 source_ip;
    __be32 destination_ip;
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
    __u32 unused;
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
    __u64 unused[7];
};

struct {
    uint(type, BPF_MAP_TYPE_HASH);
    __typeof__(struct key) *key;
    __typeof__(struct flow) *value;
    uint(max_entries, 65536);
    uint(map_flags, BPF_F_NO_PREALLOC);
} flows SEC(".maps");

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

// How long a way is believed: a change of routes or neighbours takes effect after that.
#define WAY_NS 1000000000ULL
// For ways that name no MTU.
#define USUAL_MTU 1500
// As in `rtp::Reception`: a larger gap, or a packet further behind, is a matter for user space.
#define MAX_DROPOUT 3000
#define MAX_MISORDER 100
#define TTL 64
#define AF_INET 2

static inline_always struct ethhdr *ethernet(const struct packet *p)
{
    return (struct ethhdr *)p - 1;
}

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

// Whether the frame is a whole UDP datagram that holds RTP: no options, no fragment.
static inline_always int is_rtp(const struct packet *p, __u32 frame_bytes)
{
    __u32 ip_bytes = swap16(p->ip.tot_len);

    return ethernet(p)->h_proto == swap16(ETH_P_IP) && p->ip.version == 4 && p->ip.ihl == 5 &&
           p->ip.protocol == IPPROTO_UDP && !(p->ip.frag_off & swap16(0x3fff)) &&
           ip_bytes >= sizeof(*p) && ip_bytes + ETH_HLEN <= frame_bytes &&
           swap16(p->udp.len) + sizeof(p->ip) == ip_bytes && p->rtp.first >> 6 == 2 &&
           // RTCP on the same port (RFC 5761 §4).
           !(p->rtp.second >= 192 && p->rtp.second <= 223);
}

// Counts a packet as `rtp::Reception` does; 0 if that is a matter for user space.
static inline_always int count(struct slot *slot, const struct flow *flow,
                               const struct packet *p, __u64 now_ns)
{
    __u8 payload_type = p->rtp.second & 0x7f;
    __u32 highest = slot->highest;
    __u16 ahead = swap16(p->rtp.sequence) - (__u16)highest;

    if (p->rtp.ssrc != slot->ssrc)
        return 0;
    if (ahead < MAX_DROPOUT)
        slot->highest = highest + ahead;
    else if (ahead <= 65535 - MAX_MISORDER)
        return 0;

    if (has(flow->timed, payload_type)) {
        // The low 32 bits are right even where the product has wrapped.
        __u32 arrival = (now_ns >> 10) * flow->clock >> 20;
        __u32 transit = arrival - swap32(p->rtp.timestamp);
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
    slot->heard_ns = now_ns;
    __sync_fetch_and_add(&slot->packets, 1);
    __sync_fetch_and_add(&slot->bytes, swap16(p->udp.len) - sizeof(p->udp));
    return 1;
}

// Finds the way to the flow's destination; 0 if user space has to send.
static inline_always int find_way(void *context, __u32 ingress, struct flow *flow,
                                  struct slot *slot, const struct packet *p, __u64 now_ns)
{
    struct bpf_fib_lookup fib = {};
    long result;

    slot->came_by = ingress;
    __builtin_memcpy(slot->came_from, ethernet(p)->h_source, ETH_ALEN);
    __builtin_memcpy(slot->came_to, ethernet(p)->h_dest, ETH_ALEN);

    fib.family = AF_INET;
    fib.l4_protocol = IPPROTO_UDP;
    fib.sport = flow->source_port;
    fib.dport = flow->destination_port;
    fib.tot_len = swap16(p->ip.tot_len);
    fib.ipv4_src = flow->source_ip;
    fib.ipv4_dst = flow->destination_ip;
    fib.ifindex = ingress;
    result = bpf_fib_lookup(context, &fib, sizeof(fib), 0);
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
    flow->found_ns = now_ns;
    return 1;
}

// The flow of a packet that may be relayed, with its way found and the packet counted.
static inline_always struct flow *flow_of(void *context, __u32 ingress, const struct packet *p,
                                          __u32 frame_bytes, int is_xdp)
{
    struct key key = {};
    struct flow *flow;
    struct slot *slot;
    __u32 index;
    __u64 now_ns;

    if (!is_rtp(p, frame_bytes))
        return 0;
    key.local_ip = p->ip.daddr;
    key.peer_ip = p->ip.saddr;
    key.local_port = p->udp.dest;
    key.peer_port = p->udp.source;
    flow = bpf_map_lookup_elem(&flows, &key);
    if (!flow || !has(flow->relayed, p->rtp.second & 0x7f))
        return 0;
    index = flow->slot;
    slot = bpf_map_lookup_elem(&slots, &index);
    if (!slot)
        return 0;
    now_ns = bpf_ktime_get_ns();
    if (!flow->found_ns || now_ns - flow->found_ns > WAY_NS) {
        if (!find_way(context, ingress, flow, slot, p, now_ns))
            return 0;
    }
    if (swap16(p->ip.tot_len) > flow->mtu)
        return 0;
    if (is_xdp && flow->interface != ingress) {
        index = flow->interface;
        if (!bpf_map_lookup_elem(&attached, &index))
            return 0;
    }
    return count(slot, flow, p, now_ns) ? flow : 0;
}

// By how much the addresses differ in a checksum.
static inline_always __u32 address_difference(const struct packet *p, const struct flow *flow)
{
    return halves(~p->ip.saddr) + halves(~p->ip.daddr) + halves(flow->source_ip) +
           halves(flow->destination_ip);
}

static inline_always __u32 port_difference(const struct packet *p, const struct flow *flow)
{
    return (__u16)~p->udp.source + (__u16)~p->udp.dest + flow->source_port +
           flow->destination_port;
}

// Makes the packet one that we send: everything but the checksum of UDP.
static inline_always void rewrite(struct packet *p, const struct flow *flow)
{
    __u32 sum;

    __builtin_memcpy(ethernet(p)->h_dest, flow->to, ETH_ALEN);
    __builtin_memcpy(ethernet(p)->h_source, flow->from, ETH_ALEN);
    p->ip.tos = 0;
    p->ip.id = 0;
    p->ip.frag_off = swap16(0x4000);
    p->ip.ttl = TTL;
    p->ip.saddr = flow->source_ip;
    p->ip.daddr = flow->destination_ip;
    sum = swap16(0x4500) + p->ip.tot_len + p->ip.frag_off + swap16(TTL << 8 | IPPROTO_UDP) +
          halves(flow->source_ip) + halves(flow->destination_ip);
    p->ip.check = ~fold(sum);
    p->udp.source = flow->source_port;
    p->udp.dest = flow->destination_port;
}

SEC("xdp")
int relay_xdp(struct xdp_md *context)
{
    void *end = (void *)(long)context->data_end;
    struct packet *p = (void *)(long)context->data + ETH_HLEN;
    struct flow *flow;

    if ((void *)(p + 1) > end)
        return XDP_PASS;
    flow = flow_of(context, context->ingress_ifindex, p, context->data_end - context->data, 1);
    if (!flow)
        return XDP_PASS;
    // A checksum of 0 says that there is none.
    if (p->udp.check) {
        __u32 sum = (__u16)~p->udp.check + address_difference(p, flow) + port_difference(p, flow);
        __u16 check = ~fold(sum);
        p->udp.check = check ? check : 0xffff;
    }
    rewrite(p, flow);
    if (flow->interface == context->ingress_ifindex)
        return XDP_TX;
    return bpf_redirect(flow->interface, 0);
}

SEC("classifier")
int relay_tc(struct __sk_buff *context)
{
    void *end = (void *)(long)context->data_end;
    struct packet *p = (void *)(long)context->data + ETH_HLEN;
    const __u32 check = ETH_HLEN + __builtin_offsetof(struct packet, udp.check);
    struct flow *flow;
    __u32 addresses, ports;

    // Several datagrams in one, or a frame of a VLAN, are not what the flow is about.
    if ((void *)(p + 1) > end || context->gso_size || context->vlan_present)
        return TC_ACT_UNSPEC;
    flow = flow_of(context, context->ingress_ifindex, p, context->len, 0);
    if (!flow)
        return TC_ACT_UNSPEC;
    // By the helper, for the checksum may be one that a device is to complete.
    addresses = address_difference(p, flow);
    ports = port_difference(p, flow);
    bpf_l4_csum_replace(context, check, 0, addresses, BPF_F_PSEUDO_HDR | BPF_F_MARK_MANGLED_0);
    bpf_l4_csum_replace(context, check, 0, ports, BPF_F_MARK_MANGLED_0);
    end = (void *)(long)context->data_end;
    p = (void *)(long)context->data + ETH_HLEN;
    if ((void *)(p + 1) > end)
        return TC_ACT_SHOT;
    rewrite(p, flow);
    return bpf_redirect(flow->interface, 0);
}

// bpf_fib_lookup is offered to programs under the GPL only.
char LICENSE[] SEC("license") = "GPL";
