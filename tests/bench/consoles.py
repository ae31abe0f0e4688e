"""Consoles as NG40 prints them, of any size: both families of its output."""

# A regression test system says little for long (family A); a load test redraws its tables every second (family B).
CHATTER = """\
cmd enb_mme_state 0 0: ENB(0) MME(0) Status: active
cmd setmessagedelay gyocs 2500: 
cmd setmessagedelay gxpcrf 2500: 
++++ Precondition: facebook up & running
"""
TABLES = """\
Signaling Table
           AttUE     ActCTXT   BrReq     BrAct     RelRq     RelAc     ActS1
ng40_ran_1 1         1         1         1         0         0         1
User Plane Downlink Table
           AS_PktTx      AS_EthTx      S1uEthRx      S1uPktRx
ng40_ran_1 132           132           144           133
User Plane Uplink Table
           S1uPktTx      S1uEthTx      AS_EthRx      AS_PktRx
ng40_ran_1 49            50            48            48
Watchtime: {second} Timeout: 1800
"""


def chatter(cases, size):
    """Family A: a list of so many cases, each of which goes on about it for its share of the size."""
    yield "Open NG40 logger: Name = bench_210211_112124-1; ID = 1\n"
    yield f"**** TOTAL number of test cases:{cases}\n"
    filler = CHATTER * (size // cases // len(CHATTER))
    for number in range(1, cases + 1):
        yield f"Run test case ({number}) on facebook: gx_gy_combined_{number:03}($balance=300, $exponent=0)\n"
        yield filler
        yield f"Verdict(gx_gy_combined_{number:03}) = VERDICT_PASS\n"
    yield "Testlist verdict = VERDICT_PASS\nClosing NG40 logger: Name = bench_210211_112124-1; ID = 1\n"
    yield " >>>>>>>> close <<<<<<<<<\n"


def tables(cases, size):
    """Family B: load tests, one after the other."""
    seconds = size // cases // len(TABLES)
    for number in range(1, cases + 1):
        yield from (TABLES.format(second=second) for second in range(seconds))
        yield f"Verdict(tc_load_{number:03}) = VERDICT_PASS\n**** Packet Loss ****\n"
        yield "DL Loss= AS_PktTx-S1uPktRx=     0(pkts); 0.00(%)\nUL Loss= S1uPktTx-AS_PktRx=     0(pkts); 0.00(%)\n"
    yield "Testlist verdict = VERDICT_PASS\n"
