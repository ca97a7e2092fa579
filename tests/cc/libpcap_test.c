// libpcap compiles a filter, by the parser that was generated for it, and the filter tells two packets apart.
#include <pcap/pcap.h>
#include <stdio.h>
#include <string.h>

static const unsigned char ipv4[60] = {[12] = 0x08, [13] = 0x00, [14] = 0x45, [23] = 17};
static const unsigned char ipv6[60] = {[12] = 0x86, [13] = 0xdd};

static int matches(struct bpf_program *filter, const unsigned char *packet) {
	struct pcap_pkthdr header = {.caplen = sizeof ipv4, .len = sizeof ipv4};
	return pcap_offline_filter(filter, &header, packet) != 0;
}

int main(void) {
	struct bpf_program filter;
	pcap_t *pcap = pcap_open_dead(DLT_EN10MB, 65535);
	if (pcap == NULL || pcap_compile(pcap, &filter, "ip and udp", 1, PCAP_NETMASK_UNKNOWN) != 0) {
		fprintf(stderr, "pcap_compile: %s\n", pcap ? pcap_geterr(pcap) : "no handle");
		return 1;
	}
	if (!matches(&filter, ipv4) || matches(&filter, ipv6)) {
		fprintf(stderr, "the filter takes IPv4/UDP: %d, IPv6: %d\n", matches(&filter, ipv4), matches(&filter, ipv6));
		return 1;
	}
	return 0;
}
