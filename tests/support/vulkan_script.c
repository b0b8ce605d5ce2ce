/*
 * Runs Vulkan scripts: vulkan_script FILE LOG [FIRST]
 *
 * A script is lines of words.  Numbers are Vulkan's enums; objects are numbered by the script.  A case begins
 * with "case NAME"; cases before number FIRST are skipped.  All objects are forgotten at the next case.
 * LOG gets "NAME: done" for each case, or what went wrong.  Exit status: 0; 2 for a script that is wrong, 3 when the
 * device was lost, 4 on another Vulkan error, 5 when there is no device.
 */
#define VK_NO_PROTOTYPES
#include <dlfcn.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <vulkan/vulkan.h>

#define FUNCTIONS(F)                                                                                                  \
	F(CreateDevice) F(GetDeviceQueue) F(EnumeratePhysicalDevices) F(GetPhysicalDeviceProperties)                  \
	F(GetPhysicalDeviceFeatures2) F(EnumerateDeviceExtensionProperties) F(GetPhysicalDeviceMemoryProperties)      \
	F(GetPhysicalDeviceQueueFamilyProperties) F(GetPhysicalDeviceImageFormatProperties)                           \
	F(GetPhysicalDeviceFormatProperties)                                                                          \
	F(CreateBuffer) F(GetBufferMemoryRequirements) F(AllocateMemory) F(BindBufferMemory) F(MapMemory)             \
	F(CreateCommandPool) F(AllocateCommandBuffers) F(BeginCommandBuffer) F(EndCommandBuffer) F(QueueSubmit)       \
	F(QueueWaitIdle) F(CmdFillBuffer) F(CmdUpdateBuffer) F(CmdCopyBuffer) F(CreateShaderModule)                   \
	F(CreateDescriptorSetLayout) F(CreatePipelineLayout) F(CreateComputePipelines) F(CreateDescriptorPool)        \
	F(AllocateDescriptorSets) F(UpdateDescriptorSets) F(CmdBindPipeline) F(CmdBindDescriptorSets) F(CmdDispatch)  \
	F(CmdDispatchIndirect) F(CmdPipelineBarrier) F(CreateImage) F(GetImageMemoryRequirements) F(BindImageMemory)  \
	F(CreateImageView) F(CreateBufferView) F(CreateSampler) F(CreateGraphicsPipelines) F(CmdBindVertexBuffers)    \
	F(CmdBindIndexBuffer) F(CmdDraw) F(CmdDrawIndexed) F(CmdDrawIndirect) F(CmdDrawIndexedIndirect)               \
	F(CmdCopyImageToBuffer) F(CmdCopyBufferToImage) F(CmdCopyImage) F(CmdBlitImage) F(CmdClearColorImage)         \
	F(CmdClearDepthStencilImage) F(CmdClearAttachments) F(CmdResolveImage) F(CmdPushConstants) F(CmdSetViewport)  \
	F(CmdSetScissor) F(CreateQueryPool) F(CmdResetQueryPool) F(CmdBeginQuery) F(CmdEndQuery) F(CmdWriteTimestamp) \
	F(CmdCopyQueryPoolResults) F(GetQueryPoolResults) F(CreateEvent) F(CmdSetEvent) F(CmdWaitEvents)              \
	F(CmdExecuteCommands) F(CreateSemaphore) F(DeviceWaitIdle) F(DestroyDevice) F(DestroyInstance)                \
	F(CmdBeginRenderingKHR) F(CmdEndRenderingKHR) F(GetBufferDeviceAddressKHR) F(CreateSamplerYcbcrConversion)  \
	F(GetImageSparseMemoryRequirements) F(QueueBindSparse)

#define DECLARE(name) static PFN_vk##name vk##name;
FUNCTIONS(DECLARE)

enum { MOST = 64, WORDS = 512 };

static VkInstance instance;
static VkPhysicalDevice physical;
static VkDevice device;
static VkQueue queue, sparse_queue;
static VkCommandPool pool;
static VkCommandBuffer primary, commands;
static VkPhysicalDeviceMemoryProperties memories;
static const char *name = "start";
static char *words[WORDS];
static int count, next;

static struct { VkBuffer handle; uint8_t *data; size_t size; } buffers[MOST];
static struct { VkImage handle; VkFormat format; uint32_t levels, layers; VkImageAspectFlags aspect; } images[MOST];
static VkImageView views[MOST];
static VkBufferView buffer_views[MOST];
static VkSampler samplers[MOST];
static VkSamplerYcbcrConversion conversions[MOST];
static int immutable[MOST]; /* samplers that convert have to be */
static struct { VkDescriptorSetLayout layout; VkDescriptorSet set; } sets[MOST];
static struct { VkPipeline handle; VkPipelineLayout layout; VkPipelineBindPoint point; int set; } pipelines[MOST];
static VkQueryPool queries[MOST];
static VkEvent events[MOST];
static VkCommandBuffer secondaries[MOST];
static int current;

static void check(VkResult result, const char *what)
{
	if (result == VK_SUCCESS)
		return;
	printf("%s: %s: %d\n", name, what, result);
	fflush(stdout);
	_exit(result == VK_ERROR_DEVICE_LOST ? 3 : 4);
}
#define CHECK(call) check(call, #call)

static const char *word(void)
{
	if (next >= count) {
		printf("%s: %s: too few words\n", name, words[0]);
		exit(2);
	}
	return words[next++];
}

static uint64_t number(void)
{
	const char *text = word();
	return text[0] == '-' ? (uint64_t)strtoll(text, NULL, 0) : strtoull(text, NULL, 0);
}

static float real(void)
{
	return strtof(word(), NULL);
}

static int object(void)
{
	uint64_t n = number();
	if (n >= MOST)
		exit(2);
	return n;
}

static int keyed(const char *key)
{
	if (next >= count || strcmp(words[next], key))
		return 0;
	next++;
	return 1;
}

static void start(void)
{
	VkApplicationInfo app = { .sType = VK_STRUCTURE_TYPE_APPLICATION_INFO, .apiVersion = VK_API_VERSION_1_3 };
	VkInstanceCreateInfo info = { .sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO, .pApplicationInfo = &app };
	float priority = 1;
	VkDeviceQueueCreateInfo queues[2] = {
		{ .sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO, .queueCount = 1, .pQueuePriorities = &priority },
		{ .sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO, .queueCount = 1, .pQueuePriorities = &priority },
	};
	VkQueueFamilyProperties families[8];
	uint32_t family_count = 8, sparse = 0;
	/* What drivers of every version may offer, each structure with its extension. */
	VkPhysicalDevice16BitStorageFeatures half = { VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_16BIT_STORAGE_FEATURES };
	VkPhysicalDevice8BitStorageFeatures byte = { VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_8BIT_STORAGE_FEATURES, &half };
	VkPhysicalDeviceShaderFloat16Int8Features small = { VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_FLOAT16_INT8_FEATURES,
							    &byte };
	VkPhysicalDeviceBufferDeviceAddressFeatures address = {
		VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_BUFFER_DEVICE_ADDRESS_FEATURES, &small
	};
	VkPhysicalDeviceDynamicRenderingFeatures dynamic = { VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DYNAMIC_RENDERING_FEATURES,
							     &address };
	VkPhysicalDeviceTimelineSemaphoreFeatures timeline = { VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_TIMELINE_SEMAPHORE_FEATURES,
							       &dynamic };
	VkPhysicalDeviceShaderSubgroupExtendedTypesFeatures types = {
		VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_SUBGROUP_EXTENDED_TYPES_FEATURES, &timeline
	};
	VkPhysicalDeviceShaderAtomicInt64Features wide = { VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_ATOMIC_INT64_FEATURES,
							   &types };
	VkPhysicalDeviceShaderAtomicFloatFeaturesEXT floats = {
		VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_ATOMIC_FLOAT_FEATURES_EXT, &wide
	};
	VkPhysicalDeviceShaderIntegerDotProductFeatures dots = {
		VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES, &floats
	};
	VkPhysicalDeviceMultiviewFeatures views = { VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MULTIVIEW_FEATURES, &dots };
	VkPhysicalDeviceSamplerYcbcrConversionFeatures ycbcr = {
		VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SAMPLER_YCBCR_CONVERSION_FEATURES, &views
	};
	VkPhysicalDeviceTextureCompressionASTCHDRFeatures astc = {
		VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_TEXTURE_COMPRESSION_ASTC_HDR_FEATURES, &ycbcr
	};
	VkPhysicalDeviceRobustness2FeaturesEXT robust = { VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_ROBUSTNESS_2_FEATURES_EXT,
							  &astc };
	VkPhysicalDeviceFeatures2 features = { VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2, &robust };
	static const char *const wanted[] = {
		"VK_KHR_16bit_storage", "VK_KHR_8bit_storage", "VK_KHR_shader_float16_int8", "VK_KHR_buffer_device_address",
		"VK_KHR_dynamic_rendering", "VK_KHR_timeline_semaphore", "VK_KHR_shader_subgroup_extended_types",
		"VK_KHR_shader_atomic_int64", "VK_EXT_shader_atomic_float", "VK_KHR_depth_stencil_resolve",
		"VK_KHR_create_renderpass2", "VK_EXT_index_type_uint8", "VK_KHR_shader_integer_dot_product",
		"VK_KHR_sampler_mirror_clamp_to_edge", "VK_KHR_storage_buffer_storage_class", "VK_KHR_spirv_1_4",
		"VK_KHR_shader_float_controls", "VK_EXT_custom_border_color", "VK_KHR_multiview", "VK_KHR_maintenance2",
		"VK_EXT_vertex_attribute_divisor", "VK_EXT_shader_stencil_export",
		"VK_KHR_sampler_ycbcr_conversion", "VK_EXT_ycbcr_2plane_444_formats", "VK_EXT_texture_compression_astc_hdr",
		"VK_EXT_astc_decode_mode", "VK_EXT_robustness2",
		"VK_KHR_dynamic_rendering_local_read",
	};
	const char *enabled[sizeof(wanted) / sizeof(*wanted)];
	VkDeviceCreateInfo dinfo = { .sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO, .pNext = &features,
				     .queueCreateInfoCount = 1, .pQueueCreateInfos = queues,
				     .ppEnabledExtensionNames = enabled };
	VkCommandPoolCreateInfo pinfo = { .sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
					  .flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT };
	VkCommandBufferAllocateInfo cinfo = { .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
					      .commandBufferCount = 1 };
	VkExtensionProperties *known;
	void *library = dlopen("libvulkan.so.1", RTLD_NOW);
	PFN_vkGetInstanceProcAddr get;
	PFN_vkCreateInstance create;
	uint32_t one = 1, some = 0;
	VkResult result;

	if (!library)
		exit(5);
	get = (PFN_vkGetInstanceProcAddr)dlsym(library, "vkGetInstanceProcAddr");
	create = (PFN_vkCreateInstance)get(NULL, "vkCreateInstance");
	CHECK(create(&info, NULL, &instance));
#define LOAD(name) vk##name = (PFN_vk##name)get(instance, "vk" #name);
	FUNCTIONS(LOAD)
	result = vkEnumeratePhysicalDevices(instance, &one, &physical);
	if ((result != VK_SUCCESS && result != VK_INCOMPLETE) || !one)
		exit(5);
	vkEnumerateDeviceExtensionProperties(physical, NULL, &some, NULL);
	known = calloc(some, sizeof(*known));
	vkEnumerateDeviceExtensionProperties(physical, NULL, &some, known);
	for (size_t w = 0; w < sizeof(wanted) / sizeof(*wanted); w++)
		for (uint32_t k = 0; k < some; k++)
			if (!strcmp(wanted[w], known[k].extensionName))
				enabled[dinfo.enabledExtensionCount++] = wanted[w];
	vkGetPhysicalDeviceFeatures2(physical, &features);
	vkGetPhysicalDeviceMemoryProperties(physical, &memories);
	vkGetPhysicalDeviceQueueFamilyProperties(physical, &family_count, families);
	while (sparse < family_count && !(families[sparse].queueFlags & VK_QUEUE_SPARSE_BINDING_BIT))
		sparse++;
	if (sparse && sparse < family_count) {
		queues[1].queueFamilyIndex = sparse;
		dinfo.queueCreateInfoCount = 2;
	}
	CHECK(vkCreateDevice(physical, &dinfo, NULL, &device));
	vkGetDeviceQueue(device, 0, 0, &queue);
	if (sparse < family_count)
		vkGetDeviceQueue(device, sparse, 0, &sparse_queue);
	CHECK(vkCreateCommandPool(device, &pinfo, NULL, &pool));
	cinfo.commandPool = pool;
	CHECK(vkAllocateCommandBuffers(device, &cinfo, &primary));
}

static VkDeviceMemory allocate(VkMemoryRequirements *need, VkMemoryPropertyFlags flags, const void *chain)
{
	VkMemoryAllocateInfo info = { .sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO, .pNext = chain,
				      .allocationSize = need->size };
	VkDeviceMemory memory;
	uint32_t n;

	for (n = 0; n < memories.memoryTypeCount; n++)
		if (need->memoryTypeBits >> n & 1 && (memories.memoryTypes[n].propertyFlags & flags) == flags)
			break;
	info.memoryTypeIndex = n;
	CHECK(vkAllocateMemory(device, &info, NULL, &memory));
	return memory;
}

static void *slurp(const char *path, size_t *size)
{
	FILE *file = fopen(path, "rb");
	void *data;

	if (!file) {
		perror(path);
		exit(2);
	}
	fseek(file, 0, SEEK_END);
	*size = ftell(file);
	rewind(file);
	data = malloc(*size + 4);
	if (fread(data, 1, *size, file) != *size)
		exit(2);
	fclose(file);
	return data;
}

/* buffer ID SIZE [FILE] */
static void make_buffer(void)
{
	int id = object();
	VkBufferCreateInfo info = { .sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO, .size = number(), .usage = 0x1ff };
	VkMemoryAllocateFlagsInfo flags = { VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_FLAGS_INFO, NULL,
					    VK_MEMORY_ALLOCATE_DEVICE_ADDRESS_BIT, 0 };
	VkMemoryRequirements need;
	VkDeviceMemory memory;
	size_t size;

	info.usage |= VK_BUFFER_USAGE_SHADER_DEVICE_ADDRESS_BIT;
	CHECK(vkCreateBuffer(device, &info, NULL, &buffers[id].handle));
	vkGetBufferMemoryRequirements(device, buffers[id].handle, &need);
	memory = allocate(&need, VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT, &flags);
	CHECK(vkBindBufferMemory(device, buffers[id].handle, memory, 0));
	CHECK(vkMapMemory(device, memory, 0, VK_WHOLE_SIZE, 0, (void **)&buffers[id].data));
	buffers[id].size = info.size;
	memset(buffers[id].data, 0, info.size);
	if (next < count) {
		void *data = slurp(word(), &size);

		memcpy(buffers[id].data, data, size < info.size ? size : info.size);
		free(data);
	}
}

/* image ID TYPE FORMAT WIDTH HEIGHT DEPTH LEVELS LAYERS SAMPLES USAGE FLAGS TILING ASPECT */
static void make_image(void)
{
	int id = object();
	VkImageCreateInfo info = { .sType = VK_STRUCTURE_TYPE_IMAGE_CREATE_INFO };
	VkMemoryRequirements need;

	info.imageType = number();
	images[id].format = info.format = number();
	info.extent.width = number();
	info.extent.height = number();
	info.extent.depth = number();
	images[id].levels = info.mipLevels = number();
	images[id].layers = info.arrayLayers = number();
	info.samples = number();
	info.usage = number();
	info.flags = number();
	info.tiling = number();
	images[id].aspect = number();
	CHECK(vkCreateImage(device, &info, NULL, &images[id].handle));
	if (info.flags & VK_IMAGE_CREATE_SPARSE_BINDING_BIT)
		return;
	vkGetImageMemoryRequirements(device, images[id].handle, &need);
	CHECK(vkBindImageMemory(device, images[id].handle, allocate(&need, 0, NULL), 0));
}

/* sparse IMAGE X Y WIDTH HEIGHT: memory for a part of its first level, in the shape of its tiles */
static void sparse(void)
{
	int id = object();
	VkSparseImageMemoryBind bind = { .subresource.aspectMask = VK_IMAGE_ASPECT_COLOR_BIT };
	VkSparseImageMemoryBindInfo part = { images[id].handle, 1, &bind };
	VkBindSparseInfo info = { .sType = VK_STRUCTURE_TYPE_BIND_SPARSE_INFO, .imageBindCount = 1, .pImageBinds = &part };
	VkMemoryRequirements need;

	bind.offset.x = number();
	bind.offset.y = number();
	bind.extent.width = number();
	bind.extent.height = number();
	bind.extent.depth = 1;
	vkGetImageMemoryRequirements(device, images[id].handle, &need);
	bind.memory = allocate(&need, 0, NULL);
	CHECK(vkQueueBindSparse(sparse_queue, 1, &info, VK_NULL_HANDLE));
	CHECK(vkQueueWaitIdle(sparse_queue));
}

/* formats FILE FORMAT...: features of optimal tiling and of buffers, two words a format */
static void formats(void)
{
	FILE *file = fopen(word(), "wb");
	VkFormatProperties found;
	int bad = !file;

	while (!bad && next < count) {
		vkGetPhysicalDeviceFormatProperties(physical, number(), &found);
		bad |= fwrite(&found.optimalTilingFeatures, 4, 1, file) != 1;
		bad |= fwrite(&found.bufferFeatures, 4, 1, file) != 1;
	}
	if (bad || fclose(file))
		exit(2);
}

/* conversion ID FORMAT MODEL RANGE R G B A X-OFFSET Y-OFFSET FILTER: from Y'CbCr */
static void make_conversion(void)
{
	int id = object();
	VkSamplerYcbcrConversionCreateInfo info = { .sType = VK_STRUCTURE_TYPE_SAMPLER_YCBCR_CONVERSION_CREATE_INFO };

	info.format = number();
	info.ycbcrModel = number();
	info.ycbcrRange = number();
	info.components.r = number();
	info.components.g = number();
	info.components.b = number();
	info.components.a = number();
	info.xChromaOffset = number();
	info.yChromaOffset = number();
	info.chromaFilter = number();
	CHECK(vkCreateSamplerYcbcrConversion(device, &info, NULL, &conversions[id]));
}

/* view ID IMAGE TYPE FORMAT ASPECT LEVEL LEVELS LAYER LAYERS R G B A [conversion ID | decode FORMAT] */
static void make_view(void)
{
	VkSamplerYcbcrConversionInfo ycbcr = { .sType = VK_STRUCTURE_TYPE_SAMPLER_YCBCR_CONVERSION_INFO };
	VkImageViewASTCDecodeModeEXT decode = { .sType = VK_STRUCTURE_TYPE_IMAGE_VIEW_ASTC_DECODE_MODE_EXT };
	int id = object();
	VkImageViewCreateInfo info = { .sType = VK_STRUCTURE_TYPE_IMAGE_VIEW_CREATE_INFO };

	info.image = images[object()].handle;
	info.viewType = number();
	info.format = number();
	info.subresourceRange.aspectMask = number();
	info.subresourceRange.baseMipLevel = number();
	info.subresourceRange.levelCount = number();
	info.subresourceRange.baseArrayLayer = number();
	info.subresourceRange.layerCount = number();
	info.components.r = number();
	info.components.g = number();
	info.components.b = number();
	info.components.a = number();
	if (keyed("conversion")) {
		ycbcr.conversion = conversions[object()];
		info.pNext = &ycbcr;
	} else if (keyed("decode")) {
		decode.decodeMode = number();
		info.pNext = &decode;
	}
	CHECK(vkCreateImageView(device, &info, NULL, &views[id]));
}

/* bufferview ID BUFFER FORMAT */
static void make_buffer_view(void)
{
	int id = object();
	VkBufferViewCreateInfo info = { .sType = VK_STRUCTURE_TYPE_BUFFER_VIEW_CREATE_INFO, .range = VK_WHOLE_SIZE };

	info.buffer = buffers[object()].handle;
	info.format = number();
	CHECK(vkCreateBufferView(device, &info, NULL, &buffer_views[id]));
}

/* sampler ID MAG MIN MIP U V W BIAS MINLOD MAXLOD ANISOTROPY COMPARE BORDER UNNORMALIZED [conversion ID] */
static void make_sampler(void)
{
	VkSamplerYcbcrConversionInfo ycbcr = { .sType = VK_STRUCTURE_TYPE_SAMPLER_YCBCR_CONVERSION_INFO };
	int id = object(), compare;
	VkSamplerCreateInfo info = { .sType = VK_STRUCTURE_TYPE_SAMPLER_CREATE_INFO };

	info.magFilter = number();
	info.minFilter = number();
	info.mipmapMode = number();
	info.addressModeU = number();
	info.addressModeV = number();
	info.addressModeW = number();
	info.mipLodBias = real();
	info.minLod = real();
	info.maxLod = real();
	info.maxAnisotropy = real();
	info.anisotropyEnable = info.maxAnisotropy > 1;
	compare = number();
	info.compareEnable = compare >= 0;
	info.compareOp = compare >= 0 ? compare : 0;
	info.borderColor = number();
	info.unnormalizedCoordinates = number();
	immutable[id] = keyed("conversion");
	if (immutable[id]) {
		ycbcr.conversion = conversions[object()];
		info.pNext = &ycbcr;
	}
	CHECK(vkCreateSampler(device, &info, NULL, &samplers[id]));
}

/* set ID TYPE RESOURCE SAMPLER TYPE RESOURCE SAMPLER ...: bindings 0, 1, ... */
static void make_set(void)
{
	int id = object(), bindings = (count - next) / 3;
	VkDescriptorSetLayoutBinding layout[32] = { 0 };
	VkDescriptorPoolSize sizes[32];
	VkWriteDescriptorSet writes[32];
	VkDescriptorBufferInfo buffer_infos[32];
	VkDescriptorImageInfo image_infos[32];
	VkDescriptorSetLayoutCreateInfo linfo = { .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO,
						  .bindingCount = bindings, .pBindings = layout };
	VkDescriptorPoolCreateInfo pinfo = { .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO, .maxSets = 1,
					     .poolSizeCount = bindings, .pPoolSizes = sizes };
	VkDescriptorSetAllocateInfo ainfo = { .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
					      .descriptorSetCount = 1, .pSetLayouts = &sets[id].layout };

	for (int n = 0; n < bindings; n++) {
		int type = number(), resource = object(), sampler = object();

		layout[n] = (VkDescriptorSetLayoutBinding){ n, type, 1, VK_SHADER_STAGE_ALL,
							   immutable[sampler] ? &samplers[sampler] : NULL };
		sizes[n] = (VkDescriptorPoolSize){ type, 3 }; /* one for each plane, where there are planes */
		buffer_infos[n] = (VkDescriptorBufferInfo){ buffers[resource].handle, 0, VK_WHOLE_SIZE };
		image_infos[n] = (VkDescriptorImageInfo){ samplers[sampler], views[resource], VK_IMAGE_LAYOUT_GENERAL };
		writes[n] = (VkWriteDescriptorSet){ .sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET, .dstBinding = n,
						    .descriptorCount = 1, .descriptorType = type,
						    .pImageInfo = &image_infos[n], .pBufferInfo = &buffer_infos[n],
						    .pTexelBufferView = &buffer_views[resource] };
	}
	CHECK(vkCreateDescriptorSetLayout(device, &linfo, NULL, &sets[id].layout));
	CHECK(vkCreateDescriptorPool(device, &pinfo, NULL, &ainfo.descriptorPool));
	CHECK(vkAllocateDescriptorSets(device, &ainfo, &sets[id].set));
	for (int n = 0; n < bindings; n++)
		writes[n].dstSet = sets[id].set;
	vkUpdateDescriptorSets(device, bindings, writes, 0, NULL);
}

static VkShaderModule shader(const char *path)
{
	VkShaderModuleCreateInfo info = { .sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO };
	VkShaderModule module;

	info.pCode = slurp(path, &info.codeSize);
	CHECK(vkCreateShaderModule(device, &info, NULL, &module));
	return module;
}

static void make_layout(int id, int set, int bytes)
{
	VkPushConstantRange push = { VK_SHADER_STAGE_ALL, 0, bytes };
	VkPipelineLayoutCreateInfo info = { .sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
					    .setLayoutCount = set >= 0, .pSetLayouts = set >= 0 ? &sets[set].layout : NULL,
					    .pushConstantRangeCount = bytes > 0, .pPushConstantRanges = &push };

	pipelines[id].set = set;
	CHECK(vkCreatePipelineLayout(device, &info, NULL, &pipelines[id].layout));
}

/* compute ID SET PUSHBYTES SHADER [CONSTANT VALUE]... */
static void make_compute(void)
{
	int id = object(), set = number(), bytes = number();
	VkSpecializationMapEntry entries[16];
	uint32_t values[16];
	VkSpecializationInfo special = { 0, entries, sizeof(values), values };
	VkComputePipelineCreateInfo info = { .sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
					     .stage = { .sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
							.stage = VK_SHADER_STAGE_COMPUTE_BIT, .pName = "main",
							.pSpecializationInfo = &special } };

	make_layout(id, set, bytes);
	info.layout = pipelines[id].layout;
	info.stage.module = shader(word());
	while (next < count) {
		uint32_t n = special.mapEntryCount++;

		entries[n] = (VkSpecializationMapEntry){ number(), 4 * n, 4 };
		values[n] = number();
	}
	CHECK(vkCreateComputePipelines(device, VK_NULL_HANDLE, 1, &info, NULL, &pipelines[id].handle));
	pipelines[id].point = VK_PIPELINE_BIND_POINT_COMPUTE;
}

static VkStencilOpState stencil_side(void)
{
	VkStencilOpState side;

	side.failOp = number();
	side.passOp = number();
	side.depthFailOp = number();
	side.compareOp = number();
	side.compareMask = number();
	side.writeMask = number();
	side.reference = number();
	return side;
}

/* graphics ID SET PUSHBYTES VERTEX FRAGMENT|- then settings, each a word and its numbers */
static void make_graphics(void)
{
	int id = object(), set = number(), bytes = number();
	VkPipelineShaderStageCreateInfo stages[] = {
		{ .sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO, .stage = VK_SHADER_STAGE_VERTEX_BIT,
		  .pName = "main" },
		{ .sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO, .stage = VK_SHADER_STAGE_FRAGMENT_BIT,
		  .pName = "main" },
	};
	VkVertexInputBindingDescription bindings[16];
	VkVertexInputAttributeDescription attributes[16];
	VkFormat formats[8] = { VK_FORMAT_R8G8B8A8_UNORM };
	VkPipelineColorBlendAttachmentState mixes[8];
	VkDynamicState dynamics[] = { VK_DYNAMIC_STATE_VIEWPORT, VK_DYNAMIC_STATE_SCISSOR };
	VkSampleMask mask = ~0u;
	VkPipelineVertexInputStateCreateInfo input = { .sType = VK_STRUCTURE_TYPE_PIPELINE_VERTEX_INPUT_STATE_CREATE_INFO,
						       .pVertexBindingDescriptions = bindings,
						       .pVertexAttributeDescriptions = attributes };
	VkPipelineInputAssemblyStateCreateInfo assembly = {
		.sType = VK_STRUCTURE_TYPE_PIPELINE_INPUT_ASSEMBLY_STATE_CREATE_INFO, .topology = 3
	};
	VkPipelineViewportStateCreateInfo view = { .sType = VK_STRUCTURE_TYPE_PIPELINE_VIEWPORT_STATE_CREATE_INFO,
						   .viewportCount = 1, .scissorCount = 1 };
	VkPipelineRasterizationStateCreateInfo raster = {
		.sType = VK_STRUCTURE_TYPE_PIPELINE_RASTERIZATION_STATE_CREATE_INFO, .lineWidth = 1
	};
	VkPipelineMultisampleStateCreateInfo multi = {
		.sType = VK_STRUCTURE_TYPE_PIPELINE_MULTISAMPLE_STATE_CREATE_INFO, .rasterizationSamples = 1,
		.pSampleMask = &mask
	};
	VkPipelineDepthStencilStateCreateInfo ds = { .sType = VK_STRUCTURE_TYPE_PIPELINE_DEPTH_STENCIL_STATE_CREATE_INFO };
	VkPipelineColorBlendStateCreateInfo blend = { .sType = VK_STRUCTURE_TYPE_PIPELINE_COLOR_BLEND_STATE_CREATE_INFO,
						      .attachmentCount = 1, .pAttachments = mixes };
	VkPipelineDynamicStateCreateInfo dynamic = { .sType = VK_STRUCTURE_TYPE_PIPELINE_DYNAMIC_STATE_CREATE_INFO,
						     .dynamicStateCount = 2, .pDynamicStates = dynamics };
	VkPipelineRenderingCreateInfo rendering = { .sType = VK_STRUCTURE_TYPE_PIPELINE_RENDERING_CREATE_INFO,
						    .colorAttachmentCount = 1, .pColorAttachmentFormats = formats };
	VkGraphicsPipelineCreateInfo info = { .sType = VK_STRUCTURE_TYPE_GRAPHICS_PIPELINE_CREATE_INFO,
					      .pNext = &rendering, .stageCount = 1, .pStages = stages,
					      .pVertexInputState = &input, .pInputAssemblyState = &assembly,
					      .pViewportState = &view, .pRasterizationState = &raster,
					      .pMultisampleState = &multi, .pDepthStencilState = &ds,
					      .pColorBlendState = &blend, .pDynamicState = &dynamic };
	uint32_t mixed = 0;

	for (int n = 0; n < 8; n++)
		mixes[n] = (VkPipelineColorBlendAttachmentState){ .colorWriteMask = 15 };
	make_layout(id, set, bytes);
	info.layout = pipelines[id].layout;
	stages[0].module = shader(word());
	if (strcmp(words[next], "-")) {
		stages[1].module = shader(words[next]);
		info.stageCount = 2;
	}
	next++;
	while (next < count) {
		if (keyed("topology"))
			assembly.topology = number();
		else if (keyed("restart"))
			assembly.primitiveRestartEnable = 1;
		else if (keyed("cull"))
			raster.cullMode = number();
		else if (keyed("clockwise"))
			raster.frontFace = 1;
		else if (keyed("discard"))
			raster.rasterizerDiscardEnable = 1;
		else if (keyed("clamp"))
			raster.depthClampEnable = 1;
		else if (keyed("width"))
			raster.lineWidth = real();
		else if (keyed("bias")) {
			raster.depthBiasEnable = 1;
			raster.depthBiasConstantFactor = real();
			raster.depthBiasClamp = real();
			raster.depthBiasSlopeFactor = real();
		} else if (keyed("samples"))
			multi.rasterizationSamples = number();
		else if (keyed("mask"))
			mask = number();
		else if (keyed("coverage"))
			multi.alphaToCoverageEnable = 1;
		else if (keyed("shading"))
			multi.sampleShadingEnable = 1, multi.minSampleShading = real();
		else if (keyed("depth")) {
			ds.depthTestEnable = 1;
			ds.depthWriteEnable = number();
			ds.depthCompareOp = number();
		} else if (keyed("stencil")) {
			ds.stencilTestEnable = 1;
			ds.front = stencil_side();
			ds.back = stencil_side();
		} else if (keyed("blend")) {
			VkPipelineColorBlendAttachmentState *mix = &mixes[mixed++];

			mix->blendEnable = number();
			mix->srcColorBlendFactor = number();
			mix->dstColorBlendFactor = number();
			mix->colorBlendOp = number();
			mix->srcAlphaBlendFactor = number();
			mix->dstAlphaBlendFactor = number();
			mix->alphaBlendOp = number();
			mix->colorWriteMask = number();
		} else if (keyed("logic")) {
			blend.logicOpEnable = 1;
			blend.logicOp = number();
		} else if (keyed("constants")) {
			for (int n = 0; n < 4; n++)
				blend.blendConstants[n] = real();
		} else if (keyed("views"))
			rendering.viewMask = number();
		else if (keyed("colors")) {
			rendering.colorAttachmentCount = blend.attachmentCount = number();
			for (uint32_t n = 0; n < blend.attachmentCount; n++)
				formats[n] = number();
		} else if (keyed("zs")) {
			rendering.depthAttachmentFormat = number();
			rendering.stencilAttachmentFormat = number();
		} else if (keyed("binding")) {
			VkVertexInputBindingDescription *one = &bindings[input.vertexBindingDescriptionCount++];

			one->binding = number();
			one->stride = number();
			one->inputRate = number();
		} else if (keyed("attribute")) {
			VkVertexInputAttributeDescription *one = &attributes[input.vertexAttributeDescriptionCount++];

			one->location = number();
			one->binding = number();
			one->format = number();
			one->offset = number();
		} else {
			printf("%s: no pipeline setting %s\n", name, words[next]);
			exit(2);
		}
	}
	CHECK(vkCreateGraphicsPipelines(device, VK_NULL_HANDLE, 1, &info, NULL, &pipelines[id].handle));
	pipelines[id].point = VK_PIPELINE_BIND_POINT_GRAPHICS;
}
#include "vulkan_commands.h"
