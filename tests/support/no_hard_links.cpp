// A library to preload: a file system without hard links, as bucket mounts, SMB and exFAT are.
#include <cerrno>

extern "C" int link(const char*, const char*) {
  errno = EPERM;
  return -1;
}
