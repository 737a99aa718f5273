#include "dist/caught.h"

#include <c10/util/Exception.h>

#include <cstdio>
#include <new>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <system_error>

#include "dist/streams.h"

namespace saddle {
namespace {

Error out_of_memory(const std::string& what) {
  return {Exit::io,
          fmt::format("out of memory ({}): a smaller batch, fewer ranks a host, or ask the scheduler "
                      "for more",
                      what)};
}

// Of a library: its first line, since errors of the program are one line, too.
Error foreign(Exit kind, const std::string& what) {
  const size_t begin = what.find_first_not_of('\n');
  if (begin == std::string::npos) return {kind, "an error without a message"};
  return {kind, what.substr(begin, what.find('\n', begin) - begin)};
}

}  // namespace

Error caught() {
  try {
    throw;
  } catch (const Error& e) {
    return e;
  } catch (const c10::Error& e) {
    const std::string text = e.what_without_backtrace();
    const size_t on_cpu = text.find("DefaultCPUAllocator: can't allocate memory");
    if (on_cpu != std::string::npos) return out_of_memory(text.substr(on_cpu));
    if (dynamic_cast<const c10::OutOfMemoryError*>(&e)) return out_of_memory(text);
    return foreign(Exit::bug, text);
  } catch (const std::bad_alloc& e) {
    return out_of_memory(e.what());
  } catch (const std::length_error& e) {  // more than any memory holds
    return out_of_memory(e.what());
  } catch (const nlohmann::json::exception& e) {
    return foreign(Exit::data, fmt::format("malformed JSON, of a file or of another rank: {}", e.what()));
  } catch (const std::system_error& e) {
    if (std::ferror(stdout) != 0) return {Exit::io, unwritable_output(e.code().message())};
    return foreign(Exit::io, e.what());
  } catch (const std::exception& e) {
    return foreign(Exit::bug, e.what());
  } catch (...) {
    return {Exit::bug, "an exception of no known type"};
  }
}

}  // namespace saddle
