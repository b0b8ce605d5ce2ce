/*
 * A Vulkan client without a window: vulkan_client MODE ARGS..., results into a file.
 *
 *   info
 *   fill OUT SIZE WORD
 *   copy IN OUT
 *   compute SHADER.spv IN OUT OUTSIZE X Y Z        storage buffers: binding 0 in, 1 out
 *   draw VERT.spv FRAG.spv OUT WIDTH HEIGHT VERTICES INDICES FLAGS
 *        VERTICES: file of vec4 position, vec4 colour; INDICES: file of u16, or -
 *        FLAGS: letters of d (depth test), b (blending)
 *
 * Environment: REPEAT=n runs the work n times and prints the nanoseconds of each run.
 */
#define VK_NO_PROTOTYPES
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <vulkan/vulkan.h>

#define CHECK(call)                                                                 \
	do {                                                                        \
		VkResult r_ = (call);                                               \
		if (r_ != VK_SUCCESS) {                                             \
			fprintf(stderr, "%s:%d: %s: %d\n", __FILE__, __LINE__, #call, r_); \
			exit(r_ == VK_ERROR_DEVICE_LOST ? 3 : 4);                   \
		}                                                                   \
	} while (0)

#define FUNCTIONS(F)                                                                                              \
	F(CreateDevice) F(GetDeviceQueue) F(EnumeratePhysicalDevices) F(GetPhysicalDeviceProperties)              \
	F(GetPhysicalDeviceMemoryProperties) F(CreateBuffer) F(GetBufferMemoryRequirements) F(AllocateMemory)     \
	F(BindBufferMemory) F(MapMemory) F(CreateCommandPool) F(AllocateCommandBuffers) F(BeginCommandBuffer)     \
	F(EndCommandBuffer) F(QueueSubmit) F(CreateFence) F(WaitForFences) F(ResetFences) F(CmdFillBuffer)         \
	F(CmdCopyBuffer) F(CreateShaderModule) F(CreateDescriptorSetLayout) F(CreatePipelineLayout)               \
	F(CreateComputePipelines) F(CreateDescriptorPool) F(AllocateDescriptorSets) F(UpdateDescriptorSets)       \
	F(CmdBindPipeline) F(CmdBindDescriptorSets) F(CmdDispatch) F(CmdPipelineBarrier) F(CreateImage)           \
	F(GetImageMemoryRequirements) F(BindImageMemory) F(CreateImageView) F(CreateRenderPass)                   \
	F(CreateFramebuffer) F(CreateGraphicsPipelines) F(CmdBeginRenderPass) F(CmdEndRenderPass)                 \
	F(CmdBindVertexBuffers) F(CmdBindIndexBuffer) F(CmdDraw) F(CmdDrawIndexed) F(CmdCopyImageToBuffer)        \
	F(DestroyDevice) F(DestroyInstance) F(DeviceWaitIdle)

#define DECLARE(name) static PFN_vk##name vk##name;
FUNCTIONS(DECLARE)

static VkInstance instance;
static VkPhysicalDevice physical;
static VkDevice device;
static VkQueue queue;
static VkCommandPool pool;
static VkCommandBuffer commands;
static VkPhysicalDeviceMemoryProperties memories;
static VkPhysicalDeviceProperties properties;

struct buffer {
	VkBuffer handle;
	void *data;
};

static void start(void)
{
	VkApplicationInfo app = { .sType = VK_STRUCTURE_TYPE_APPLICATION_INFO, .apiVersion = VK_API_VERSION_1_0 };
	VkInstanceCreateInfo info = { .sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO, .pApplicationInfo = &app };
	float priority = 1;
	VkDeviceQueueCreateInfo queues = { .sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
					   .queueCount = 1, .pQueuePriorities = &priority };
	VkDeviceCreateInfo dinfo = { .sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
				     .queueCreateInfoCount = 1, .pQueueCreateInfos = &queues };
	VkCommandPoolCreateInfo pinfo = { .sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
					  .flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT };
	VkCommandBufferAllocateInfo cinfo = { .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
					      .commandBufferCount = 1 };
	void *library = dlopen("libvulkan.so.1", RTLD_NOW);
	PFN_vkGetInstanceProcAddr get;
	PFN_vkCreateInstance create;
	uint32_t count = 1;
	VkResult result;

	if (!library) {
		fprintf(stderr, "%s\n", dlerror());
		exit(5);
	}
	get = (PFN_vkGetInstanceProcAddr)dlsym(library, "vkGetInstanceProcAddr");
	create = (PFN_vkCreateInstance)get(NULL, "vkCreateInstance");
	CHECK(create(&info, NULL, &instance));
#define LOAD(name) vk##name = (PFN_vk##name)get(instance, "vk" #name);
	FUNCTIONS(LOAD)
	result = vkEnumeratePhysicalDevices(instance, &count, &physical);
	if ((result != VK_SUCCESS && result != VK_INCOMPLETE) || !count) {
		fprintf(stderr, "no Vulkan device: %d\n", result);
		exit(5);
	}
	vkGetPhysicalDeviceProperties(physical, &properties);
	vkGetPhysicalDeviceMemoryProperties(physical, &memories);
	CHECK(vkCreateDevice(physical, &dinfo, NULL, &device));
	vkGetDeviceQueue(device, 0, 0, &queue);
	CHECK(vkCreateCommandPool(device, &pinfo, NULL, &pool));
	cinfo.commandPool = pool;
	CHECK(vkAllocateCommandBuffers(device, &cinfo, &commands));
}

static VkDeviceMemory allocate(VkMemoryRequirements *need, VkMemoryPropertyFlags flags)
{
	VkMemoryAllocateInfo info = { .sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO, .allocationSize = need->size };
	VkDeviceMemory memory;
	uint32_t n;

	for (n = 0; n < memories.memoryTypeCount; n++)
		if (need->memoryTypeBits >> n & 1 && (memories.memoryTypes[n].propertyFlags & flags) == flags)
			break;
	info.memoryTypeIndex = n;
	CHECK(vkAllocateMemory(device, &info, NULL, &memory));
	return memory;
}

static struct buffer make_buffer(VkDeviceSize size)
{
	VkBufferCreateInfo info = { .sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO, .size = size,
				    .usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT |
					     VK_BUFFER_USAGE_TRANSFER_DST_BIT | VK_BUFFER_USAGE_VERTEX_BUFFER_BIT |
					     VK_BUFFER_USAGE_INDEX_BUFFER_BIT };
	VkMemoryRequirements need;
	VkDeviceMemory memory;
	struct buffer made;

	CHECK(vkCreateBuffer(device, &info, NULL, &made.handle));
	vkGetBufferMemoryRequirements(device, made.handle, &need);
	memory = allocate(&need, VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT);
	CHECK(vkBindBufferMemory(device, made.handle, memory, 0));
	CHECK(vkMapMemory(device, memory, 0, VK_WHOLE_SIZE, 0, &made.data));
	return made;
}

static void *slurp(const char *path, size_t *size)
{
	FILE *file = fopen(path, "rb");
	void *data;

	if (!file) {
		perror(path);
		exit(5);
	}
	fseek(file, 0, SEEK_END);
	*size = ftell(file);
	rewind(file);
	data = malloc(*size + 1);
	if (fread(data, 1, *size, file) != *size)
		exit(5);
	fclose(file);
	return data;
}

static void spill(const char *path, const void *data, size_t size)
{
	FILE *file = fopen(path, "wb");

	if (!file || fwrite(data, 1, size, file) != size || fclose(file)) {
		perror(path);
		exit(5);
	}
}

static void begin(void)
{
	VkCommandBufferBeginInfo info = { .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO };

	CHECK(vkBeginCommandBuffer(commands, &info));
}

static void finish(void)
{
	VkMemoryBarrier barrier = { .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
				    .srcAccessMask = VK_ACCESS_MEMORY_WRITE_BIT, .dstAccessMask = VK_ACCESS_HOST_READ_BIT };
	VkSubmitInfo submit = { .sType = VK_STRUCTURE_TYPE_SUBMIT_INFO, .commandBufferCount = 1,
				.pCommandBuffers = &commands };
	VkFenceCreateInfo finfo = { .sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO };
	const char *repeat = getenv("REPEAT");
	int times = repeat ? atoi(repeat) : 1;
	struct timespec a, b;
	VkFence fence;

	vkCmdPipelineBarrier(commands, VK_PIPELINE_STAGE_ALL_COMMANDS_BIT, VK_PIPELINE_STAGE_HOST_BIT, 0, 1, &barrier,
			     0, NULL, 0, NULL);
	CHECK(vkEndCommandBuffer(commands));
	CHECK(vkCreateFence(device, &finfo, NULL, &fence));
	while (times--) {
		clock_gettime(CLOCK_MONOTONIC, &a);
		CHECK(vkQueueSubmit(queue, 1, &submit, fence));
		CHECK(vkWaitForFences(device, 1, &fence, VK_TRUE, 600000000000ull));
		clock_gettime(CLOCK_MONOTONIC, &b);
		CHECK(vkResetFences(device, 1, &fence));
		if (repeat)
			printf("%lld ns\n", (b.tv_sec - a.tv_sec) * 1000000000ll + b.tv_nsec - a.tv_nsec);
	}
}

static VkShaderModule shader(const char *path)
{
	VkShaderModuleCreateInfo info = { .sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO };
	VkShaderModule module;

	info.pCode = slurp(path, &info.codeSize);
	CHECK(vkCreateShaderModule(device, &info, NULL, &module));
	return module;
}

static void fill(char **args)
{
	size_t size = strtoull(args[1], NULL, 0);
	struct buffer out = make_buffer(size);

	begin();
	vkCmdFillBuffer(commands, out.handle, 0, size, strtoul(args[2], NULL, 0));
	finish();
	spill(args[0], out.data, size);
}

static void copy(char **args)
{
	size_t size;
	void *data = slurp(args[0], &size);
	struct buffer in = make_buffer(size), out = make_buffer(size);
	VkBufferCopy region = { .size = size };

	memcpy(in.data, data, size);
	begin();
	vkCmdCopyBuffer(commands, in.handle, out.handle, 1, &region);
	finish();
	spill(args[1], out.data, size);
}

static void compute(char **args)
{
	VkDescriptorSetLayoutBinding bindings[] = {
		{ 0, VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 1, VK_SHADER_STAGE_COMPUTE_BIT, NULL },
		{ 1, VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 1, VK_SHADER_STAGE_COMPUTE_BIT, NULL },
	};
	VkDescriptorSetLayoutCreateInfo linfo = { .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO,
						  .bindingCount = 2, .pBindings = bindings };
	VkDescriptorPoolSize sizes = { VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 2 };
	VkDescriptorPoolCreateInfo dpinfo = { .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO, .maxSets = 1,
					      .poolSizeCount = 1, .pPoolSizes = &sizes };
	VkDescriptorSetAllocateInfo sinfo = { .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
					      .descriptorSetCount = 1 };
	VkPipelineLayoutCreateInfo plinfo = { .sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
					      .setLayoutCount = 1 };
	VkComputePipelineCreateInfo cinfo = { .sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
					      .stage = { .sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
							 .stage = VK_SHADER_STAGE_COMPUTE_BIT, .pName = "main" } };
	size_t in_size, out_size = strtoull(args[3], NULL, 0);
	void *data = slurp(args[1], &in_size);
	struct buffer in = make_buffer(in_size), out = make_buffer(out_size);
	VkDescriptorBufferInfo infos[] = { { in.handle, 0, VK_WHOLE_SIZE }, { out.handle, 0, VK_WHOLE_SIZE } };
	VkWriteDescriptorSet writes[2];
	VkDescriptorSetLayout layout;
	VkPipelineLayout pipeline_layout;
	VkDescriptorPool descriptors;
	VkDescriptorSet set;
	VkPipeline pipeline;
	int n;

	memcpy(in.data, data, in_size);
	memset(out.data, 0, out_size);
	CHECK(vkCreateDescriptorSetLayout(device, &linfo, NULL, &layout));
	plinfo.pSetLayouts = &layout;
	CHECK(vkCreatePipelineLayout(device, &plinfo, NULL, &pipeline_layout));
	cinfo.layout = pipeline_layout;
	cinfo.stage.module = shader(args[0]);
	CHECK(vkCreateComputePipelines(device, VK_NULL_HANDLE, 1, &cinfo, NULL, &pipeline));
	CHECK(vkCreateDescriptorPool(device, &dpinfo, NULL, &descriptors));
	sinfo.descriptorPool = descriptors;
	sinfo.pSetLayouts = &layout;
	CHECK(vkAllocateDescriptorSets(device, &sinfo, &set));
	for (n = 0; n < 2; n++)
		writes[n] = (VkWriteDescriptorSet){ .sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET, .dstSet = set,
						    .dstBinding = n, .descriptorCount = 1,
						    .descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
						    .pBufferInfo = &infos[n] };
	vkUpdateDescriptorSets(device, 2, writes, 0, NULL);
	begin();
	vkCmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline);
	vkCmdBindDescriptorSets(commands, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline_layout, 0, 1, &set, 0, NULL);
	vkCmdDispatch(commands, atoi(args[4]), atoi(args[5]), atoi(args[6]));
	finish();
	spill(args[2], out.data, out_size);
}

struct image {
	VkImage handle;
	VkImageView view;
};

static struct image make_image(VkFormat format, uint32_t width, uint32_t height, VkImageUsageFlags usage,
			       VkImageAspectFlags aspect)
{
	VkImageCreateInfo info = { .sType = VK_STRUCTURE_TYPE_IMAGE_CREATE_INFO, .imageType = VK_IMAGE_TYPE_2D,
				   .format = format, .extent = { width, height, 1 }, .mipLevels = 1, .arrayLayers = 1,
				   .samples = VK_SAMPLE_COUNT_1_BIT, .tiling = VK_IMAGE_TILING_OPTIMAL, .usage = usage };
	VkImageViewCreateInfo vinfo = { .sType = VK_STRUCTURE_TYPE_IMAGE_VIEW_CREATE_INFO,
					.viewType = VK_IMAGE_VIEW_TYPE_2D, .format = format,
					.subresourceRange = { aspect, 0, 1, 0, 1 } };
	VkMemoryRequirements need;
	struct image made;

	CHECK(vkCreateImage(device, &info, NULL, &made.handle));
	vkGetImageMemoryRequirements(device, made.handle, &need);
	CHECK(vkBindImageMemory(device, made.handle, allocate(&need, 0), 0));
	vinfo.image = made.handle;
	CHECK(vkCreateImageView(device, &vinfo, NULL, &made.view));
	return made;
}

static void draw(char **args)
{
	uint32_t width = atoi(args[3]), height = atoi(args[4]);
	int indexed = strcmp(args[6], "-") != 0, depth = strchr(args[7], 'd') != NULL,
	    blend = strchr(args[7], 'b') != NULL;
	size_t vertex_size, index_size = 0;
	void *vertex_data = slurp(args[5], &vertex_size), *index_data = indexed ? slurp(args[6], &index_size) : NULL;
	struct buffer vertices = make_buffer(vertex_size), indices = make_buffer(index_size + 4),
		      out = make_buffer((VkDeviceSize)width * height * 4);
	struct image colour = make_image(VK_FORMAT_R8G8B8A8_UNORM, width, height,
					 VK_IMAGE_USAGE_COLOR_ATTACHMENT_BIT | VK_IMAGE_USAGE_TRANSFER_SRC_BIT,
					 VK_IMAGE_ASPECT_COLOR_BIT);
	struct image deep = make_image(VK_FORMAT_D32_SFLOAT, width, height,
				       VK_IMAGE_USAGE_DEPTH_STENCIL_ATTACHMENT_BIT, VK_IMAGE_ASPECT_DEPTH_BIT);
	VkAttachmentDescription attachments[] = {
		{ 0, VK_FORMAT_R8G8B8A8_UNORM, VK_SAMPLE_COUNT_1_BIT, VK_ATTACHMENT_LOAD_OP_CLEAR,
		  VK_ATTACHMENT_STORE_OP_STORE, VK_ATTACHMENT_LOAD_OP_DONT_CARE, VK_ATTACHMENT_STORE_OP_DONT_CARE,
		  VK_IMAGE_LAYOUT_UNDEFINED, VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL },
		{ 0, VK_FORMAT_D32_SFLOAT, VK_SAMPLE_COUNT_1_BIT, VK_ATTACHMENT_LOAD_OP_CLEAR,
		  VK_ATTACHMENT_STORE_OP_DONT_CARE, VK_ATTACHMENT_LOAD_OP_DONT_CARE, VK_ATTACHMENT_STORE_OP_DONT_CARE,
		  VK_IMAGE_LAYOUT_UNDEFINED, VK_IMAGE_LAYOUT_DEPTH_STENCIL_ATTACHMENT_OPTIMAL },
	};
	VkAttachmentReference colour_ref = { 0, VK_IMAGE_LAYOUT_COLOR_ATTACHMENT_OPTIMAL };
	VkAttachmentReference depth_ref = { 1, VK_IMAGE_LAYOUT_DEPTH_STENCIL_ATTACHMENT_OPTIMAL };
	VkSubpassDescription subpass = { .pipelineBindPoint = VK_PIPELINE_BIND_POINT_GRAPHICS,
					 .colorAttachmentCount = 1, .pColorAttachments = &colour_ref,
					 .pDepthStencilAttachment = depth ? &depth_ref : NULL };
	VkSubpassDependency after = { .srcSubpass = 0, .dstSubpass = VK_SUBPASS_EXTERNAL,
				      .srcStageMask = VK_PIPELINE_STAGE_COLOR_ATTACHMENT_OUTPUT_BIT,
				      .dstStageMask = VK_PIPELINE_STAGE_TRANSFER_BIT,
				      .srcAccessMask = VK_ACCESS_COLOR_ATTACHMENT_WRITE_BIT,
				      .dstAccessMask = VK_ACCESS_TRANSFER_READ_BIT };
	VkRenderPassCreateInfo rinfo = { .sType = VK_STRUCTURE_TYPE_RENDER_PASS_CREATE_INFO,
					 .attachmentCount = depth ? 2 : 1, .pAttachments = attachments,
					 .subpassCount = 1, .pSubpasses = &subpass,
					 .dependencyCount = 1, .pDependencies = &after };
	VkImageView views[] = { colour.view, deep.view };
	VkFramebufferCreateInfo finfo = { .sType = VK_STRUCTURE_TYPE_FRAMEBUFFER_CREATE_INFO,
					  .attachmentCount = depth ? 2 : 1, .pAttachments = views, .width = width,
					  .height = height, .layers = 1 };
	VkPipelineLayoutCreateInfo plinfo = { .sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO };
	VkPipelineShaderStageCreateInfo stages[] = {
		{ .sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO, .stage = VK_SHADER_STAGE_VERTEX_BIT,
		  .pName = "main" },
		{ .sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO, .stage = VK_SHADER_STAGE_FRAGMENT_BIT,
		  .pName = "main" },
	};
	VkVertexInputBindingDescription binding = { 0, 32, VK_VERTEX_INPUT_RATE_VERTEX };
	VkVertexInputAttributeDescription attributes[] = { { 0, 0, VK_FORMAT_R32G32B32A32_SFLOAT, 0 },
							   { 1, 0, VK_FORMAT_R32G32B32A32_SFLOAT, 16 } };
	VkPipelineVertexInputStateCreateInfo input = { .sType = VK_STRUCTURE_TYPE_PIPELINE_VERTEX_INPUT_STATE_CREATE_INFO,
						       .vertexBindingDescriptionCount = 1,
						       .pVertexBindingDescriptions = &binding,
						       .vertexAttributeDescriptionCount = 2,
						       .pVertexAttributeDescriptions = attributes };
	VkPipelineInputAssemblyStateCreateInfo assembly = {
		.sType = VK_STRUCTURE_TYPE_PIPELINE_INPUT_ASSEMBLY_STATE_CREATE_INFO,
		.topology = VK_PRIMITIVE_TOPOLOGY_TRIANGLE_LIST
	};
	VkViewport viewport = { 0, 0, width, height, 0, 1 };
	VkRect2D scissor = { { 0, 0 }, { width, height } };
	VkPipelineViewportStateCreateInfo view = { .sType = VK_STRUCTURE_TYPE_PIPELINE_VIEWPORT_STATE_CREATE_INFO,
						   .viewportCount = 1, .pViewports = &viewport, .scissorCount = 1,
						   .pScissors = &scissor };
	VkPipelineRasterizationStateCreateInfo raster = {
		.sType = VK_STRUCTURE_TYPE_PIPELINE_RASTERIZATION_STATE_CREATE_INFO, .lineWidth = 1
	};
	VkPipelineMultisampleStateCreateInfo samples = {
		.sType = VK_STRUCTURE_TYPE_PIPELINE_MULTISAMPLE_STATE_CREATE_INFO,
		.rasterizationSamples = VK_SAMPLE_COUNT_1_BIT
	};
	VkPipelineDepthStencilStateCreateInfo ds = { .sType = VK_STRUCTURE_TYPE_PIPELINE_DEPTH_STENCIL_STATE_CREATE_INFO,
						     .depthTestEnable = depth, .depthWriteEnable = depth,
						     .depthCompareOp = VK_COMPARE_OP_LESS };
	VkPipelineColorBlendAttachmentState mix = { .blendEnable = blend,
						    .srcColorBlendFactor = VK_BLEND_FACTOR_SRC_ALPHA,
						    .dstColorBlendFactor = VK_BLEND_FACTOR_ONE_MINUS_SRC_ALPHA,
						    .srcAlphaBlendFactor = VK_BLEND_FACTOR_ONE,
						    .dstAlphaBlendFactor = VK_BLEND_FACTOR_ZERO, .colorWriteMask = 15 };
	VkPipelineColorBlendStateCreateInfo blending = { .sType = VK_STRUCTURE_TYPE_PIPELINE_COLOR_BLEND_STATE_CREATE_INFO,
							 .attachmentCount = 1, .pAttachments = &mix };
	VkGraphicsPipelineCreateInfo ginfo = { .sType = VK_STRUCTURE_TYPE_GRAPHICS_PIPELINE_CREATE_INFO,
					       .stageCount = 2, .pStages = stages, .pVertexInputState = &input,
					       .pInputAssemblyState = &assembly, .pViewportState = &view,
					       .pRasterizationState = &raster, .pMultisampleState = &samples,
					       .pDepthStencilState = &ds, .pColorBlendState = &blending };
	VkClearValue clears[] = { { .color = { .float32 = { 24 / 255.0f, 24 / 255.0f, 32 / 255.0f, 1 } } }, { .depthStencil = { 1, 0 } } };
	VkRenderPassBeginInfo binfo = { .sType = VK_STRUCTURE_TYPE_RENDER_PASS_BEGIN_INFO, .renderArea = scissor,
					.clearValueCount = 2, .pClearValues = clears };
	VkBufferImageCopy region = { .imageSubresource = { VK_IMAGE_ASPECT_COLOR_BIT, 0, 0, 1 },
				     .imageExtent = { width, height, 1 } };
	VkDeviceSize zero = 0;
	VkPipeline pipeline;

	memcpy(vertices.data, vertex_data, vertex_size);
	if (indexed)
		memcpy(indices.data, index_data, index_size);
	CHECK(vkCreateRenderPass(device, &rinfo, NULL, &ginfo.renderPass));
	finfo.renderPass = binfo.renderPass = ginfo.renderPass;
	CHECK(vkCreateFramebuffer(device, &finfo, NULL, &binfo.framebuffer));
	CHECK(vkCreatePipelineLayout(device, &plinfo, NULL, &ginfo.layout));
	stages[0].module = shader(args[0]);
	stages[1].module = shader(args[1]);
	CHECK(vkCreateGraphicsPipelines(device, VK_NULL_HANDLE, 1, &ginfo, NULL, &pipeline));
	begin();
	vkCmdBeginRenderPass(commands, &binfo, VK_SUBPASS_CONTENTS_INLINE);
	vkCmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_GRAPHICS, pipeline);
	vkCmdBindVertexBuffers(commands, 0, 1, &vertices.handle, &zero);
	if (indexed) {
		vkCmdBindIndexBuffer(commands, indices.handle, 0, VK_INDEX_TYPE_UINT16);
		vkCmdDrawIndexed(commands, index_size / 2, 1, 0, 0, 0);
	} else {
		vkCmdDraw(commands, vertex_size / 32, 1, 0, 0);
	}
	vkCmdEndRenderPass(commands);
	vkCmdCopyImageToBuffer(commands, colour.handle, VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL, out.handle, 1, &region);
	finish();
	spill(args[2], out.data, (size_t)width * height * 4);
}

int main(int argc, char **argv)
{
	if (argc < 2)
		return 2;
	start();
	if (!strcmp(argv[1], "info"))
		printf("%s\n", properties.deviceName);
	else if (!strcmp(argv[1], "fill") && argc == 5)
		fill(argv + 2);
	else if (!strcmp(argv[1], "copy") && argc == 4)
		copy(argv + 2);
	else if (!strcmp(argv[1], "compute") && argc == 9)
		compute(argv + 2);
	else if (!strcmp(argv[1], "draw") && argc == 10)
		draw(argv + 2);
	else
		return 2;
	vkDeviceWaitIdle(device);
	vkDestroyDevice(device, NULL);
	vkDestroyInstance(instance, NULL);
	return 0;
}
