/* A disk that forgets: what was written and not synced is gone after a kill.
 *
 * Preloaded into the agent's process. Before each write to a watched file (its path ends in .db or .db-wal) the bytes
 * that it covers, and the file's size, are noted in FILE.undo; a sync of the file empties its notes. A kill leaves the
 * notes, and `disk.py` plays them back, newest first: then the files hold only what was synced.
 * A note is: offset, old size, covered length (int64, native), then the covered bytes.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static ssize_t (*real_write)(int, const void *, size_t);
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);
static int (*real_ftruncate)(int, off_t);

__attribute__((constructor)) static void find(void) {
  real_pwrite = dlsym(RTLD_NEXT, "pwrite64");
  real_write = dlsym(RTLD_NEXT, "write");
  real_fsync = dlsym(RTLD_NEXT, "fsync");
  real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
  real_ftruncate = dlsym(RTLD_NEXT, "ftruncate64");
}

static int ends(const char *path, size_t length, const char *with) {
  size_t n = strlen(with);
  return length > n && memcmp(path + length - n, with, n) == 0;
}

/* Whether the file is watched; `path` (4096 bytes) gets its name. */
static int watched(int fd, char *path) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t n = readlink(link, path, 4000);
  if (n <= 0) return 0;
  path[n] = 0;
  return ends(path, (size_t)n, ".db") || ends(path, (size_t)n, ".db-wal");
}

static void note(int fd, const char *path, off_t at, size_t length) {
  char undo[4200];
  struct stat now;
  if (fstat(fd, &now) != 0) _exit(96);
  int64_t covered = 0;
  if (at < now.st_size) covered = (int64_t)length < now.st_size - at ? (int64_t)length : now.st_size - at;
  int64_t head[3] = {at, now.st_size, covered};
  char *text = malloc(sizeof head + (size_t)covered);
  if (!text) _exit(95);
  memcpy(text, head, sizeof head);
  if (covered) {
    /* A descriptor of our own would drop SQLite's locks on the file when it is closed. */
    if (pread(fd, text + sizeof head, (size_t)covered, at) != covered) _exit(97);
  }
  snprintf(undo, sizeof undo, "%s.undo", path);
  int log = open(undo, O_WRONLY | O_CREAT | O_APPEND, 0600);
  size_t total = sizeof head + (size_t)covered;
  if (log < 0 || real_write(log, text, total) != (ssize_t)total) _exit(98);
  close(log);
  free(text);
}

static void forget(int fd) {
  char path[4096], undo[4200];
  if (!watched(fd, path)) return;
  snprintf(undo, sizeof undo, "%s.undo", path);
  if (truncate(undo, 0) != 0 && access(undo, F_OK) == 0) _exit(99);
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off_t at) {
  char path[4096];
  if (watched(fd, path)) note(fd, path, at, length);
  return real_pwrite(fd, bytes, length, at);
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t at) { return pwrite64(fd, bytes, length, at); }

ssize_t write(int fd, const void *bytes, size_t length) {
  char path[4096];
  if (watched(fd, path)) note(fd, path, lseek(fd, 0, SEEK_CUR), length);
  return real_write(fd, bytes, length);
}

int ftruncate64(int fd, off_t length) {
  char path[4096];
  struct stat now;
  if (watched(fd, path) && fstat(fd, &now) == 0 && length < now.st_size)
    note(fd, path, length, (size_t)(now.st_size - length));
  return real_ftruncate(fd, length);
}

int ftruncate(int fd, off_t length) { return ftruncate64(fd, length); }

int fsync(int fd) {
  int said = real_fsync(fd);
  if (said == 0) forget(fd);
  return said;
}

int fdatasync(int fd) {
  int said = real_fdatasync(fd);
  if (said == 0) forget(fd);
  return said;
}
