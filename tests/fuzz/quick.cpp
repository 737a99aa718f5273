// What would make targets slow: the log, of millions of damaged files, and zlib's larger buffers, which the
// sanitizer fetches from the system and gives back for every file.
#include <zlib.h>

#include "dist/log.h"

extern "C" int gzbuffer(gzFile file, unsigned size) {
  return 0;
}

namespace saddle::log {

void start(int rank, int size) {}
void write_info(const std::string& line) {}
void write_warning(const std::string& line) {}

}  // namespace saddle::log
