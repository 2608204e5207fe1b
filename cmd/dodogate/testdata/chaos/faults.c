// Faults of a disk and of a clock for a redis-server, by LD_PRELOAD. The file that
// CHAOS_FAULTS names has the faults; the test changes it while the server runs.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile struct faults {
	int64_t clock;  // microseconds that the clock is ahead
	int32_t write;  // the error of every write to a file; 0 is none
	int32_t fsync;  // the error of every fsync; 0 is none
} *faults;

__attribute__((constructor)) static void open_faults(void) {
	const char *name = getenv("CHAOS_FAULTS");
	int fd = name ? open(name, O_RDONLY) : -1;
	if (fd < 0) return;
	void *page = mmap(NULL, sizeof *faults, PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	if (page != MAP_FAILED) faults = page;
}

#define REAL(name) \
	static __typeof__(name) *real; \
	if (!real) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

static int is_file(int fd) {
	struct stat s;
	return fstat(fd, &s) == 0 && S_ISREG(s.st_mode);
}

// A disk that fills up takes a part of what is written first.
ssize_t write(int fd, const void *data, size_t size) {
	REAL(write);
	if (faults && faults->write && is_file(fd)) {
		static int part;
		if (size > 1 && (part = !part)) return real(fd, data, size / 2);
		errno = faults->write;
		return -1;
	}
	return real(fd, data, size);
}

int fsync(int fd) {
	REAL(fsync);
	if (faults && faults->fsync) return errno = faults->fsync, -1;
	return real(fd);
}

int fdatasync(int fd) {
	REAL(fdatasync);
	if (faults && faults->fsync) return errno = faults->fsync, -1;
	return real(fd);
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
	REAL(gettimeofday);
	int failed = real(now, zone);
	if (!failed && faults) {
		int64_t all = now->tv_sec * 1000000LL + now->tv_usec + faults->clock;
		now->tv_sec = all / 1000000;
		now->tv_usec = all % 1000000;
	}
	return failed;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
	REAL(clock_gettime);
	int failed = real(clock, now);
	if (!failed && faults && clock == CLOCK_REALTIME) {
		int64_t all = now->tv_sec * 1000000000LL + now->tv_nsec + faults->clock * 1000;
		now->tv_sec = all / 1000000000;
		now->tv_nsec = all % 1000000000;
	}
	return failed;
}

time_t time(time_t *out) {
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	if (out) *out = now.tv_sec;
	return now.tv_sec;
}
