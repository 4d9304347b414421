// A kernel as a C++ value: made once, copied cheaply, executed by any thread.
#pragma once
#include <upsample.h>

#include <memory>
#include <stdexcept>
#include <thread>
#include <vector>

class Upsampler {
public:
    explicit Upsampler(const upsample_work &work) {
        char message[400] = "";
        upsample_kernel *made = nullptr;
        const std::int32_t code = upsample_create(&work, &made, message, sizeof message);
        if (code != UPSAMPLE_OK) throw std::invalid_argument(message[0] ? message : upsample_error_text(code));
        kernel.reset(made, upsample_release);
        upsample_query(made, &facts);
    }

    const upsample_info &info() const { return facts; }

    // All units, shared among threads.
    void operator()(const void *in, void *out, unsigned threads = 1) const {
        std::vector<std::thread> pool;
        std::vector<std::int32_t> codes(threads, UPSAMPLE_OK);
        for (unsigned t = 0; t < threads; t++)
            pool.emplace_back([=, &codes] {
                std::vector<char> scratch(static_cast<std::size_t>(facts.scratch_bytes));
                const auto lo = upsample_first_unit(facts.units, t, threads), hi = upsample_first_unit(facts.units, t + 1, threads);
                codes[t] = upsample_execute(kernel.get(), in, out, scratch.data(), lo, hi);
            });
        for (auto &thread : pool) thread.join();
        for (auto code : codes) if (code != UPSAMPLE_OK) throw std::runtime_error(upsample_error_text(code));
    }

private:
    std::shared_ptr<upsample_kernel> kernel;
    upsample_info facts = UPSAMPLE_INFO_INIT;
};
