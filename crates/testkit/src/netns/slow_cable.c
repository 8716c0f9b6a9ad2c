// A cable between two TAP interfaces of its own making that holds each frame for a while, both
// ways: `slow_cable NAME NAME MILLISECONDS`. It says "ready" when both interfaces are there.
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define FRAMES 4096
#define FRAME_BYTES 2048

// In the order of their time: each is held for as long as the others.
static struct frame {
    long long due_us;
    int to;
    ssize_t length;
    char bytes[FRAME_BYTES];
} frames[FRAMES];

static long long now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}

static int tap(const char *name) {
    struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI};
    int end = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
    strncpy(request.ifr_name, name, IFNAMSIZ - 1);
    if (end < 0 || ioctl(end, TUNSETIFF, &request) < 0) {
        perror(name);
        exit(1);
    }
    return end;
}

int main(int count, char **words) {
    if (count != 4) return 2;
    struct pollfd ends[2] = {{tap(words[1]), POLLIN, 0}, {tap(words[2]), POLLIN, 0}};
    long long held_us = atoll(words[3]) * 1000;
    unsigned first = 0, next = 0;
    puts("ready");
    fflush(stdout);
    for (;;) {
        long long wait_us = first == next ? 1000000 : frames[first % FRAMES].due_us - now_us();
        struct timespec wait = {0, wait_us > 0 ? wait_us * 1000 : 0};
        if (wait_us >= 1000000) wait = (struct timespec){1, 0};
        ppoll(ends, 2, &wait, NULL);
        for (int from = 0; from < 2; from++) {
            // One that finds no room is lost.
            while (next - first < FRAMES) {
                struct frame *frame = &frames[next % FRAMES];
                frame->length = read(ends[from].fd, frame->bytes, FRAME_BYTES);
                if (frame->length <= 0) break;
                frame->due_us = now_us() + held_us;
                frame->to = ends[1 - from].fd;
                next++;
            }
        }
        while (first != next && frames[first % FRAMES].due_us <= now_us()) {
            struct frame *frame = &frames[first++ % FRAMES];
            if (write(frame->to, frame->bytes, frame->length) < 0) continue;
        }
    }
}
