// ZIP archives for the tests of what reads them.
#pragma once

#include <zip.h>

#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace saddle::test {

using Contents = std::vector<std::pair<std::string, std::string>>;  // name, bytes

inline void put_zip(const std::string& path, const Contents& contents, int method = ZIP_CM_DEFLATE) {
  zip_t* archive = zip_open(path.c_str(), ZIP_CREATE | ZIP_TRUNCATE, nullptr);
  if (!archive) throw std::runtime_error("zip_open " + path);
  for (const auto& [name, bytes] : contents) {
    const auto at = zip_file_add(archive, name.c_str(),
                                 zip_source_buffer(archive, bytes.data(), bytes.size(), 0), ZIP_FL_ENC_UTF_8);
    zip_set_file_compression(archive, zip_uint64_t(at), method, 0);
  }
  if (zip_close(archive) != 0) throw std::runtime_error("zip_close " + path);
}

}  // namespace saddle::test
