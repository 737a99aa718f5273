#include "data/feed/convert.h"

#include <c10/util/BFloat16.h>
#include <c10/util/Half.h>

#include <type_traits>

#include "dist/error.h"

// Each loop is compiled for several instruction sets, the best of which is taken at run time.
#if defined(__x86_64__) && defined(__GNUC__)
#define SADDLE_X86 1
#endif

namespace saddle {
namespace {

template <class From>
constexpr float kScale = std::is_same_v<From, uint8_t>    ? 127.5F
                         : std::is_same_v<From, uint16_t> ? 32767.5F
                                                          : 0;

template <class From, class To>
[[gnu::always_inline]] inline void loop(const From* __restrict from, To* __restrict to, int64_t count) {
  for (int64_t i = 0; i < count; ++i)
    if constexpr (kScale < From >> 0)
      to[i] = static_cast<To>(static_cast<float>(from[i]) / kScale<From> - 1.0F);
    else
      to[i] = static_cast<To>(from[i]);
}

template <class From, class To>
void plain(const void* from, void* to, int64_t count) {
  loop(static_cast<const From*>(from), static_cast<To*>(to), count);
}

#ifdef SADDLE_X86
template <class From, class To>
[[gnu::target("avx2")]] void avx2(const void* from, void* to, int64_t count) {
  loop(static_cast<const From*>(from), static_cast<To*>(to), count);
}
#endif

template <class From, class To>
Convert best() {
#ifdef SADDLE_X86
  if (__builtin_cpu_supports("avx2")) return avx2<From, To>;
#endif
  return plain<From, To>;
}

template <class From>
Convert converter_from(c10::ScalarType to) {
  switch (to) {
    case c10::kFloat:
      return best<From, float>();
    case c10::kDouble:
      return best<From, double>();
    case c10::kHalf:
      return plain<From, c10::Half>;
    case c10::kBFloat16:
      return plain<From, c10::BFloat16>;
    default:
      fail(Exit::bug, "no net takes {}", c10::toString(to));
  }
}

}  // namespace

float pixel_scale(c10::ScalarType raw) {
  return raw == c10::kByte ? kScale<uint8_t> : raw == c10::kUInt16 ? kScale<uint16_t> : 0;
}

c10::ScalarType model_type(c10::ScalarType raw, c10::ScalarType dtype) {
  return pixel_scale(raw) > 0 || c10::isFloatingType(raw) ? dtype : raw;
}

Convert converter(c10::ScalarType from, c10::ScalarType to) {
  if (from == to) return nullptr;
  switch (from) {
    case c10::kByte:
      return converter_from<uint8_t>(to);
    case c10::kUInt16:
      return converter_from<uint16_t>(to);
    case c10::kHalf:
      return converter_from<c10::Half>(to);
    case c10::kFloat:
      return converter_from<float>(to);
    case c10::kDouble:
      return converter_from<double>(to);
    default:
      fail(Exit::bug, "{} does not become {}", c10::toString(from), c10::toString(to));
  }
}

}  // namespace saddle
