#include "data/pack/files/gz.h"

#include <zlib.h>

#include <algorithm>
#include <filesystem>

#include "dist/error.h"
#include "dist/file.h"

namespace saddle {

void GzFile::Close::operator()(gzFile_s* file) const {
  gzclose(file);
}

GzFile::GzFile(const std::string& path) : path_(path) {
  require(!std::filesystem::is_directory(path), Exit::data, "{}: expected a file, found a folder", path);
  file_.reset(gzdopen(open_to_read(path), "rb"));
  require(file_ != nullptr, Exit::data, "{}: cannot open", path);
  gzbuffer(file_.get(), 1 << 18);
  constexpr int64_t kMostOfDeflate = 1032;  // bytes out of one, by the format
  const auto size = int64_t(std::filesystem::file_size(path));
  most_ = gzdirect(file_.get()) ? size : size * kMostOfDeflate;
}

int64_t GzFile::read(void* to, int64_t bytes) {
  constexpr int64_t kPiece = 1 << 24;
  int64_t done = 0;
  while (done < bytes) {
    const auto piece = std::min(kPiece, bytes - done);
    const int64_t got = gzread(file_.get(), static_cast<char*>(to) + done, unsigned(piece));
    if (got < piece) check();
    done += std::max<int64_t>(0, got);
    if (got < piece) break;
  }
  return done;
}

void GzFile::seek(int64_t at) {
  if (gzseek(file_.get(), z_off_t(at), SEEK_SET) < 0) check();
}

void GzFile::check() const {
  int code = 0;
  const std::string text = gzerror(file_.get(), &code);
  require(code == Z_OK || code == Z_STREAM_END, Exit::data, "{}: damaged: {}", path_,
          text.empty() ? "zlib gives no reason" : text);
}

}  // namespace saddle
